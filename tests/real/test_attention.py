"""What waits for a person, over HTTP: the same item after every restart, one answer, and every other told that it is late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.conftest import MakeHouse
from tests.harness import House, until

KINDS = ("permission", "question", "plan", "trust")
ASKS = {
    "permission": '[[tool Bash {"command": "touch made"}]]',
    "question": '[[ask "Which color?" Red Blue]]',
    "plan": "[[plan 1. Look around. 2. Go home.]]",
    "trust": "echo: trusted",
}


def ask_all(house: House, sessions: dict[str, tuple[str, str]] | None = None) -> dict[str, tuple[str, str]]:
    """Have a session wait for each kind, in these sessions if there are some; kind to session and message."""
    strange = house.folder / ("another" if sessions else "strange")
    strange.mkdir()
    asked = {}
    for kind in KINDS:
        where = {"projectPath": str(strange if kind == "trust" else house.project)}
        if sessions and kind != "trust":  # which is asked at the start only
            where = {"sessionId": sessions[kind][0]}
        status, sent = house.http("POST", "/api/chat", {"message": ASKS[kind], "wait": 0, **where})
        assert status == 202, sent
        asked[kind] = (sent["sessionId"], sent["messageId"])
    return asked


def attention(house: House) -> dict[str, dict[str, Any]]:
    """What is listed: session to what it waits for."""
    status, body = house.http("GET", "/api/attention")
    assert status == 200
    return {entry["id"]: entry["waiting"] for entry in body["sessions"]}


def until_all_ask(house: House, sessions: dict[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """What is listed once each session waits for its kind, and hooks have told what Claude asks: on a busy machine
    its dialog may be on the screen long before, and is listed as what it looks like."""

    def all_ask() -> dict[str, dict[str, Any]] | None:
        found = attention(house)
        asked = {kind: found.get(session) or {} for kind, (session, _) in sessions.items()}
        told = all(kind == one.get("for") and (kind == "trust" or one.get("tool")) for kind, one in asked.items())
        return found if told else None

    listed: dict[str, dict[str, Any]] = until(all_ask, "all four wait")
    return listed


def give(house: House, session: str, answer: dict[str, Any]) -> tuple[int, Any]:
    return house.http("POST", f"/api/sessions/{session}/answer", answer)


def test_what_waits_survives_every_restart_and_takes_one_answer_or_expires_with_its_cause(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    house.start_supervisor()
    house.start_api()
    sessions = ask_all(house)
    before = until_all_ask(house, sessions)
    house.kill_supervisor()
    house.start_supervisor()
    assert until_all_ask(house, sessions) == before
    house.kill_supervisor()
    house.kill_api()
    house.start_supervisor()
    house.start_api()
    assert until_all_ask(house, sessions) == before

    answers = {}
    for kind, (session, message) in sessions.items():
        waiting = before[session]
        yes = next(c["id"] for c in waiting["choices"] if c["label"].split(",")[0] in ("Yes", "Blue"))
        answers[session] = {"waitingId": waiting["id"], "choice": yes}
        with ThreadPoolExecutor(2) as two:
            results = list(two.map(partial(give, house, session), [answers[session]] * 2))
        assert sorted(status for status, _ in results) == [200, 409], (kind, results)
        lost = next(body for status, body in results if status == 409)
        assert lost["code"] == "already_answered"
        settled = until(
            lambda m=message: (r := house.http("GET", f"/api/messages/{m}?wait=1")[1])["state"] == "answered" and r,
            f"the message behind the {kind}",
        )
        if kind == "question":
            assert '"Which color?"="Blue"' in settled["reply"]
    house.kill_api()
    house.start_api()
    for kind, (session, _) in sessions.items():
        status, late = give(house, session, answers[session])
        assert (status, late["code"]) == (409, "already_answered"), kind
        given = [e["data"] for e in house.events(session=session) if e["kind"] == "answered"]
        assert [one["id"] for one in given] == [before[session]["id"]], kind
    assert (house.project / "made").exists()
    assert attention(house) == {}
    expires(house, ask_all(house, sessions))


def expires(house: House, sessions: dict[str, tuple[str, str]]) -> None:
    """What nobody answers is over with its cause."""
    asked = until_all_ask(house, sessions)
    head = house.call("ping")["head"]
    causes = {}
    for kind, (session, _) in sessions.items():
        if kind == "question":
            house.call("session.interrupt", {"sessionId": session})
        elif kind == "plan":
            house.call("session.keys", {"sessionId": session, "keys": ["Escape"]})
        else:
            assert house.http("DELETE", f"/api/sessions/{session}")[0] == 200
    until(lambda: attention(house) == {}, "nothing waits any more")
    for kind, (session, _) in sessions.items():

        def over(session: str = session) -> list[dict[str, Any]]:
            return [e["data"] for e in house.events(head, session) if e["kind"] == "expired"]

        until(over, f"the {kind} has expired")
        assert [one["id"] for one in over()] == [asked[session]["id"]], kind
        causes[kind] = over()[0]["cause"]
    assert causes == {"permission": "killed", "question": "interrupted", "plan": "terminal", "trust": "killed"}
