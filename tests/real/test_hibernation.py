"""What keeps a session from being put to sleep, and what keeps it from expiring: its work, and a person; not a forgotten
terminal."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from shared.errors import Conflict
from tests.conftest import LendHouse
from tests.harness import House, until
from tests.onlooker import Viewer

SECOND = 1 / 3600
TASK = json.dumps({"command": "sleep 7655", "run_in_background": True})


def refusal(house: House, session: str) -> str:
    with pytest.raises(Conflict) as refused:
        house.call("session.hibernate", {"sessionId": session})
    assert refused.value.error_code == "cannot_hibernate"
    return refused.value.message


def sleepers(house: House) -> list[int]:
    found = []
    for member in house.marked():
        with suppress(OSError):  # one that has just ended
            if Path(f"/proc/{member.pid}/cmdline").read_bytes() == b"sleep\x007655\x00":
                found.append(member.pid)
    return found


def test_a_background_task_keeps_its_session_awake_and_alive_even_when_its_turn_was_interrupted(
    lend_house: LendHouse, cli: Path
) -> None:
    house = lend_house(cli, health={"interval_seconds": 0.3})
    house.alone()
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"permissions": {"allow": ["Bash"]}}))
    sent = house.send(f"[[tool Bash {TASK}]] [[gate reply]] echo: never", wait=0)
    session = sent["session"]["id"]
    assert house.model.wait_for_gate("reply", 30)
    house.call("session.interrupt", {"sessionId": session})
    assert house.message(sent["message"]["id"], wait=30)["state"] == "interrupted"
    house.until_state(session, "idle")
    (task,) = until(lambda: sleepers(house), "the task runs on")
    until(lambda: "background tasks run" in refusal(house, session), "it is known")
    house.call(
        "settings.patch",
        {
            "values": {
                "sessions.warning_hours": 0.5 * SECOND,
                "sessions.timeout_hours": SECOND,
                "sessions.max_concurrent": 1,
            }
        },
    )
    seen = house.session(session)["lastActivity"]
    until(lambda: house.session(session)["lastActivity"] > seen + 1500, "longer than its time-out without a word")
    assert house.session(session)["state"] == "idle"
    os.kill(task, signal.SIGKILL)
    assert house.until_state(session, "ended", "hibernated")
    house.call("settings.patch", {"values": {"sessions.warning_hours": None, "sessions.timeout_hours": None}})


def test_a_person_keeps_it_awake_and_what_they_type_keeps_it_alive(lend_house: LendHouse, one_cli: Path) -> None:
    house = lend_house(one_cli, health={"interval_seconds": 0.3})
    _, session = house.ask("echo: warm")
    house.until_state(session, "idle")
    viewer = Viewer(house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.until(lambda: viewer.snapshots, "a snapshot")
        assert "somebody is attached" in refusal(house, session)
        before = house.session(session)["lastActivity"]
        viewer.type("half a thought")
        until(lambda: house.session(session)["lastActivity"] > before, "typing counts")
        until(lambda: house.session(session)["draft"], "what is typed stands in the box")
    finally:
        viewer.close()
    until(lambda: house.session(session)["attached"] == 0, "the viewer has gone")
    assert "a draft is in its prompt box" in refusal(house, session)
    # A terminal that was left open is no activity.
    viewer = Viewer(house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.until(lambda: viewer.snapshots, "a snapshot")
        house.call(
            "settings.patch", {"values": {"sessions.warning_hours": 0.5 * SECOND, "sessions.timeout_hours": SECOND}}
        )
        assert house.until_state(session, "ended")["endReason"] == "expired"
    finally:
        viewer.close()
