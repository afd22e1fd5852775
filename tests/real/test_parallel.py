"""Twenty parallel requests without a live process: one process, twenty replies, each to its own question, in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from shared import process
from tests.faults.pausing import fates, first_tries
from tests.harness import House

CROWD, FEW = 20, 4


def ask_all_at_once(house: House, session: str, count: int) -> None:
    """So many clients at once; each gets its own answer, from one process, in the order of acceptance."""
    before = house.session(session)
    with ThreadPoolExecutor(count) as crowd:
        sent = list(crowd.map(lambda n: house.send(f"echo: question {n}", session, wait=90), range(count)))
    assert [item["message"]["reply"] for item in sent] == [f"question {n}" for n in range(count)]
    accepted = house.call("message.list", {"sessionId": session, "limit": 100})["messages"][-count:]
    assert first_tries(house)[-count:] == [message["text"] for message in accepted]
    steps = [message["steps"]["submitted"] for message in accepted]
    assert steps == sorted(steps)
    after = house.session(session)
    assert after["generation"] <= before["generation"] + 1
    assert {item["session"]["pid"] for item in sent} == {after["pid"]}
    assert set(fates(house, session).values()) == {"answered"}


def test_a_new_session_serves_a_crowd_from_one_process_and_wakes_once_for_the_next(house: House) -> None:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    ask_all_at_once(house, session, FEW)
    assert house.session(session)["generation"] == 1

    house.ask("Remember the word MELON", session)
    house.until_state(session, "idle")
    awake = house.session(session)
    asleep = house.call("session.hibernate", {"sessionId": session})
    assert (asleep["state"], asleep["pid"]) == ("hibernated", None)
    assert process.identify(awake["pid"]) is None
    ask_all_at_once(house, session, CROWD)
    assert house.session(session)["generation"] == 2
    assert house.ask("What word did I ask you to remember?", session)[0] == "MELON"
