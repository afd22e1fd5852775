"""Three nodes and two gateways with the real CLI: whatever dies, every accepted message has one honest fate."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.server import DemoModel
from shared.bus.messages import SETTLED
from shared.errors import Conflict, NotFound, Unavailable
from tests.faults.pausing import first_tries
from tests.harness import PATIENCE, ROOT, VERSIONS, claude_binary, until
from tests.machines_lab import NAMES, Door, Machines


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """One set-up for all: it takes longer than the tests."""
    folder = Path(tempfile.mkdtemp(prefix="pl-")).resolve()
    model = DemoModel(port=0)
    model.start()
    made = Machines(folder, model, claude_binary(VERSIONS[-1]))
    yield made
    left = made.down()
    model.stop()
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, left


@pytest.fixture(scope="module")
def sessions(machines: Machines) -> dict[str, str]:
    """A conversation on each node, begun through the first gateway."""

    def begin(name: str) -> tuple[str, str]:
        project = str(machines.houses[name].project)
        body = {"message": f"echo: at {name}", "projectPath": project, "node": name, "wait": 90}
        status, told = machines.doors[0]("POST", "/api/chat", body)
        assert (status, told.get("reply")) == (200, f"at {name}"), told
        assert told["placement"] == {"node": name, "reason": "it was named"}
        return name, told["sessionId"]

    with ThreadPoolExecutor() as pool:
        return dict(pool.map(begin, NAMES))


def later(door: Door, session: str, text: str, key: str, heard: list[Any]) -> threading.Thread:
    """A message that is waited for, by a client of its own."""

    def ask() -> None:
        try:
            heard.append(door("POST", f"/api/sessions/{session}/messages", {"message": text, "wait": 60}, key))
        except OSError as error:
            heard.append(error)

    client = threading.Thread(target=ask)
    client.start()
    return client


def settled(door: Door, session: str, text: str, key: str) -> dict[str, Any]:
    """The same message again, with the same key, until its fate is known."""

    def ask() -> Any:
        status, told = door("POST", f"/api/sessions/{session}/messages", {"message": text, "wait": 30}, key)
        assert status < 500 or told["retryable"] or told.get("state") in SETTLED, (status, told)
        return told if told.get("state") in SETTLED else None

    found: dict[str, Any] = until(ask, "the message is settled", 90)
    return found


def test_a_conversation_goes_on_through_either_gateway(machines: Machines, sessions: dict[str, str]) -> None:
    one, two = machines.doors
    for name, session in sessions.items():
        assert session.startswith(f"{name}~")
        body = {"message": "echo: again", "wait": 60}
        status, told = two("POST", f"/api/sessions/{session}/messages", body)
        assert (status, told["reply"], told["sessionId"]) == (200, "again", session)
    for door in (one, two):
        told = door("GET", "/api/sessions")[1]
        assert {view["id"] for view in told["sessions"]} >= set(sessions.values())
        assert [node["state"] for node in told["nodes"]] == ["ok"] * 3
    journal = machines.houses["n2"].call("events.since", {"seq": 0, "limit": 1000, "kinds": ["audit"]})["events"]
    assert "token:gateway-g2 for token:default" in {event["data"]["actor"] for event in journal}


def test_a_gateway_killed_mid_turn_is_no_loss(machines: Machines, sessions: dict[str, str]) -> None:
    one, two = machines.doors
    text, heard = "[[midgate door]] echo: the whole reply", []
    client = later(one, sessions["n1"], text, "door", heard)
    model = machines.houses["n1"].model
    assert model.wait_for_gate("door", 30)
    one.kill()
    client.join(30)
    assert isinstance(heard[0], OSError)
    model.release("door")

    told = settled(two, sessions["n1"], text, "door")

    assert (told["state"], told["reply"]) == ("answered", "the whole reply")
    assert first_tries(machines.houses["n1"]).count(text) == 1
    one.start()
    assert settled(one, sessions["n1"], text, "door")["messageId"] == told["messageId"]


def test_a_link_cut_mid_turn_is_unknown_and_then_known(machines: Machines, sessions: dict[str, str]) -> None:
    one, two = machines.doors
    text, heard = "[[midgate link]] echo: through", []
    client = later(one, sessions["n3"], text, "link", heard)
    model = machines.houses["n3"].model
    assert model.wait_for_gate("link", 30)
    machines.cut("n3")
    client.join(30)
    assert (heard[0][0], heard[0][1]["code"], heard[0][1]["requestId"]) == (504, "outcome_unknown", "link")
    until(lambda: machines.states(two)["n3"] == "unreachable", "the other gateway sees it, too")
    status, told = two("GET", "/api/sessions")
    assert (status, {node["name"]: node["state"] for node in told["nodes"]}["n1"]) == (200, "ok")
    assert {node["name"]: node["state"] for node in told["nodes"]}["n3"] in ("stale", "unreachable")
    model.release("link")
    machines.mend("n3")
    until(lambda: machines.states(two)["n3"] == "ok", "it is seen again without a restart")
    assert settled(two, sessions["n3"], text, "link")["reply"] == "through"
    assert first_tries(machines.houses["n3"]).count(text) == 1


def test_a_supervisor_killed_mid_turn_answers_once(machines: Machines, sessions: dict[str, str]) -> None:
    one, two = machines.doors
    house, text, heard = machines.houses["n2"], "[[midgate sup]] echo: still here", []
    client = later(one, sessions["n2"], text, "sup", heard)
    assert house.model.wait_for_gate("sup", 30)
    house.kill_supervisor()
    house.start_supervisor()
    house.model.release("sup")
    assert settled(two, sessions["n2"], text, "sup")["reply"] == "still here"
    client.join(90)
    assert not isinstance(heard[0], OSError), "whoever asked first is answered, too"
    assert first_tries(house).count(text) == 1


def test_a_node_killed_mid_turn_comes_back_elsewhere_with_its_conversation(
    machines: Machines, sessions: dict[str, str]
) -> None:
    one, two = machines.doors
    house, text, heard = machines.houses["n1"], "[[midgate node]] echo: never said", []
    client = later(one, sessions["n1"], text, "node", heard)
    assert house.model.wait_for_gate("node", 30)
    before = house.api_address()
    machines.kill_node("n1")
    client.join(30)
    assert heard[0][0] in (503, 504), heard
    until(lambda: machines.states(two)["n1"] == "unreachable", "it is missed")
    assert two("GET", f"/api/sessions/{sessions['n1']}")[0] == 503
    assert two("GET", f"/api/sessions/{sessions['n2']}")[0] == 200
    house.model.release("node")
    house.start_supervisor()
    house.start_api()
    assert house.api_address() != before
    until(lambda: machines.states(two)["n1"] == "ok", "it is found where it is now")

    told = settled(two, sessions["n1"], text, "node")

    assert told["state"] in SETTLED

    def and_on() -> Any:
        """As a client that keeps to the contract: what may be repeated is, under its key."""
        status, answer = one(
            "POST", f"/api/sessions/{sessions['n1']}/messages", {"message": "echo: and on", "wait": 60}, "on"
        )
        return None if status == 503 and answer["retryable"] else (status, answer)

    status, again = until(and_on, "the node answers")
    assert (status, again.get("reply"), again.get("sessionId")) == (200, "and on", sessions["n1"]), again
    history = one("GET", f"/api/sessions/{sessions['n1']}/history")[1]["entries"]
    assert history[0]["text"] == "echo: at n1", "it is the old conversation"


def test_a_drained_node_finishes_sleeps_and_goes_on_afterwards(machines: Machines, sessions: dict[str, str]) -> None:
    one, two = machines.doors
    house, text, heard = machines.houses["n2"], "[[midgate drain]] echo: finished", []
    client = later(one, sessions["n2"], text, "drain", heard)
    assert house.model.wait_for_gate("drain", 30)

    def pilotlight(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cli", *words]
        return subprocess.Popen(command, cwd=ROOT, env=house.environment(), stdout=subprocess.PIPE)

    draining = pilotlight("drain", "--timeout", "60")
    until(lambda: house.call("settings.get")["settings"]["sessions.draining"], "nothing new begins")
    refused = two("POST", "/api/sessions", {"projectPath": str(house.project), "node": "n2"})
    assert (refused[0], refused[1]["code"]) == (429, "draining")
    house.model.release("drain")
    assert draining.wait(60) == 0
    client.join(60)
    assert heard[0][1]["reply"] == "finished", "a turn is never cut off"
    assert two("GET", f"/api/sessions/{sessions['n2']}")[1]["session"]["state"] == "hibernated"
    waits = two("POST", f"/api/sessions/{sessions['n2']}/messages", {"message": "echo: awake"}, "after")
    assert (waits[0], waits[1]["state"]) == (202, "queued")
    assert pilotlight("drain", "--off").wait(60) == 0
    assert settled(one, sessions["n2"], "echo: awake", "after")["reply"] == "awake"


ASKED = "Which word did I ask you to remember?"
STEPS = (
    ("leaving", "n1"),
    ("packing", "n1"),
    ("importing", "n2"),
    ("releasing", "n1"),
    ("released", "n1"),
    ("arriving", "n2"),
    ("unpacked", "n2"),
    ("arrived", "n2"),
)


def usable(machines: Machines, session: str) -> list[str]:
    """The nodes at which this session is one that can be talked to."""
    found = []
    for name, house in machines.houses.items():
        try:
            view = house.call("session.get", {"sessionId": session})
        except NotFound:
            continue
        except Unavailable as error:
            if error.error_code != "session_moving":
                raise
            continue
        if not view["movingTo"] and view["state"] != "ended":
            found.append(name)
    return found


def test_drain_and_move_go_on_whatever_is_killed_at_any_step(machines: Machines, sessions: dict[str, str]) -> None:
    """Both nodes, the gateway and the command: whatever dies, one session can be talked to, and it remembers."""
    one, two = machines.doors
    source, goal = machines.houses["n1"], machines.houses["n2"]
    note = {"name": "note.txt", "data": base64.b64encode(b"of the first machine").decode()}
    first = {
        "message": "Remember the word BANANA",
        "projectPath": str(source.project),
        "node": "n1",
        "attachments": [note],
    }
    told = one("POST", "/api/chat", {**first, "wait": 90}, "first")[1]
    assert told["state"] == "answered", told
    session, inner = told["sessionId"], told["sessionId"].partition("~")[2]
    machines.pauses["n1"].hold("stopping")
    draining = machines.command(one, "drain", "n1", "--timeout", "90")
    machines.restart_supervisor("n1", "stopping")
    assert draining.wait(90) == 0
    waits = one("POST", f"/api/sessions/{session}/messages", {"message": ASKED}, "waits")[1]
    assert waits["state"] == "queued", waits

    for point, name in STEPS:
        machines.pauses[name].hold(point)
    words = ("move", session, "n2", "--project", str(goal.project))
    moving = machines.command(one, *words)
    for point, name in STEPS:
        machines.pauses[name].reached(point)
        assert usable(machines, inner) == (["n2"] if point == "arrived" else [])
        if point == "importing":
            moving.kill()
            one.kill()
        machines.restart_supervisor(name, point)
        assert len(usable(machines, inner)) <= 1
        if point == "importing":
            moving.wait(PATIENCE)
            one.start()
            moving = machines.command(two, *words)
    assert moving.wait(90) == 0
    assert machines.command(one, "drain", "n1", "--off").wait(60) == 0

    assert usable(machines, inner) == ["n2"]
    for door in (one, two):
        assert settled(door, session, ASKED, "waits")["reply"] == "BANANA"
    again = two("POST", f"/api/sessions/{session}/messages", {"message": f"Again: {ASKED}", "wait": 60})
    assert (again[0], again[1]["reply"], again[1]["sessionId"]) == (200, "BANANA", f"n2~{inner}"), again
    assert machines.command(two, *words).wait(60) == 0, "who repeats it is told the same"
    kept = goal.call("message.list", {"sessionId": inner})["messages"]
    assert [message["state"] for message in kept] == ["answered"] * 3
    assert Path(kept[0]["attachments"][0]["path"]).read_bytes() == b"of the first machine"
    assert Path(kept[0]["attachments"][0]["path"]).is_relative_to(goal.folder)
    before = source.call("session.get", {"sessionId": inner})
    assert (before["state"], before["endReason"], before["movedTo"]) == ("ended", "moved", f"n2~{inner}")
    with pytest.raises(Conflict, match="has moved to n2~"):
        source.call("session.reopen", {"sessionId": inner})
    machines.pauses["n2"].hold("stopping")
    back = machines.command(one, "move", f"n2~{inner}", "n1", "--project", str(source.project))
    machines.restart_supervisor("n2", "stopping")
    assert back.wait(90) == 0
    assert usable(machines, inner) == ["n1"], "it was awake when it left, and it is back"
    assert settled(two, f"n2~{inner}", f"And now? {ASKED}", "back")["sessionId"] == session
    assert list((source.folder / "pl" / "moves").iterdir()) == list((goal.folder / "pl" / "moves").iterdir()) == []
