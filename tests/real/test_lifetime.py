"""A session's life: warned, expired, extended, put to sleep, woken, recycled; with the real CLI, in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import Busy, Conflict, InvalidRequest
from tests.conftest import LendHouse
from tests.harness import House, until
from tests.shared_houses import SharedHouse

SECOND = 1 / 3600


def kinds(house: House, session: str, kind: str) -> list[dict[str, object]]:
    """The events of one kind of a session."""
    return [event for event in house.events(session=session) if event["kind"] == kind]


def a_pass(house: House) -> None:
    """Until a health pass has begun and ended."""

    def passes() -> int:
        return int(house.call("metrics")["counters"]["health_passes"])

    before = passes()
    until(lambda: passes() >= before + 2, "a health pass")


@pytest.fixture
def quick(lend_house: LendHouse, one_cli: Path) -> SharedHouse:
    """A house whose health pass runs all the time."""
    return lend_house(one_cli, health={"interval_seconds": 0.3})


def test_a_message_brings_back_what_ended_by_itself_once_there_is_room_and_nothing_else(quick: SharedHouse) -> None:
    quick.alone()
    _, session = quick.ask("Remember the word FIG")
    generation = quick.session(session)["generation"]
    quick.call("session.keys", {"sessionId": session, "text": "/exit"})
    until(lambda: quick.session(session)["draft"], "it is typed")
    quick.call("session.keys", {"sessionId": session, "keys": ["Enter"]})
    assert quick.until_state(session, "ended")["endReason"] == "exited"

    quick.call("settings.patch", {"values": {"sessions.max_concurrent": 1}})
    busy = quick.send("[[gate busy]] echo: done", wait=0)
    assert quick.model.wait_for_gate("busy", 30)
    quick.until_state(busy["session"]["id"], "busy")
    with pytest.raises(Busy):
        quick.send("echo: no room", session, reopen=True)
    assert quick.session(session)["state"] == "ended"
    quick.model.release("busy")
    assert quick.message(busy["message"]["id"], wait=30)["reply"] == "done"
    quick.until_state(busy["session"]["id"], "idle")

    first = quick.send("What word did I ask you to remember?", session, wait=0, reopen=True)["message"]["id"]
    second = quick.send("echo: and me", session, wait=0, reopen=True)["message"]["id"]
    assert quick.message(first, wait=30)["reply"] == "FIG"
    assert quick.message(second, wait=30)["reply"] == "and me"
    assert quick.session(session)["generation"] == generation + 1, "one process for both"
    assert len(kinds(quick, session, "reopened")) == 1

    quick.call("session.kill", {"sessionId": session})
    with pytest.raises(Conflict):
        quick.send("echo: who was killed", session, reopen=True)
    assert quick.session(session)["state"] == "ended"


def test_a_session_gives_back_its_space_and_is_reopened_without_its_folder(quick: House) -> None:
    _, session = quick.ask("Remember the word LYCHEE")
    folder, lock = quick.paths.session_dir(session), quick.claude_home / f".claude/pilotlight-locks/{session}.lock"
    assert (folder / "ring").exists()
    assert lock.exists()
    quick.call("session.hibernate", {"sessionId": session})
    assert not (folder / "ring").exists(), "a sleeping session has no screen"
    quick.call("session.kill", {"sessionId": session})
    assert (folder / "hooks.log").exists(), "the rest stays as long as the journal tells of it"

    quick.call("settings.patch", {"values": {"events.keep_days": 0.5 / 86400}})
    until(lambda: not folder.exists() and not lock.exists(), "nothing of it is left")
    quick.call("settings.patch", {"values": {"events.keep_days": None}})

    quick.call("session.reopen", {"sessionId": session})
    assert quick.ask("What word did I ask you to remember?", session)[0] == "LYCHEE"
    until(lambda: not list((quick.paths.sessions_dir / ".discarded").glob("*")), "what was put aside is gone")


def test_activity_extends_and_work_never_expires(quick: SharedHouse) -> None:
    session = quick.warm()
    before = quick.session(session)["expiresAt"]
    sent = quick.send("[[gate long]] echo: done", session, wait=0)
    assert quick.session(session)["expiresAt"] > before
    assert quick.model.wait_for_gate("long", 30)
    quick.call(
        "settings.patch", {"values": {"sessions.warning_hours": 0.5 * SECOND, "sessions.timeout_hours": 2 * SECOND}}
    )
    before = quick.session(session)["expiresAt"]
    until(lambda: quick.session(session)["expiresAt"] > before + 4000, "it works for longer than its time-out")
    assert quick.session(session)["state"] == "busy"
    quick.model.release("long")
    assert quick.message(sent["message"]["id"], wait=30)["state"] == "answered"


def test_keep_alive_extends_and_recaps(quick: SharedHouse) -> None:
    _, session = quick.ask("Remember the word PLUM", quick.warm())
    expires = quick.session(session)["expiresAt"]
    extended = quick.call("session.keep_alive", {"sessionId": session, "action": "extend"})
    assert extended["session"]["expiresAt"] > expires
    recap = quick.call("session.keep_alive", {"sessionId": session, "action": "recap"})
    assert "PLUM" in recap["recap"]
    said = quick.session(session)["messageCount"]
    sent = quick.send("[[gate g]] echo: busy now", session, wait=0)
    quick.until_state(session, "busy")
    expires = quick.session(session)["expiresAt"]
    extended = quick.call("session.keep_alive", {"sessionId": session, "action": "recap"})
    assert (extended["recap"], extended["recapSkipped"]) == (None, "busy")
    assert extended["session"]["expiresAt"] > expires
    assert extended["session"]["messageCount"] == said + 1, "nothing is asked of a session that is busy"
    quick.model.release("g")
    assert quick.message(sent["message"]["id"], wait=30)["state"] == "answered"
    late = quick.call("session.keep_alive", {"sessionId": session, "action": "recap", "wait": 0.01})
    assert (late["recap"], late["recapSkipped"]) == (None, "timeout")


def test_auto_keep_alive_outlasts_the_timeout(quick: House) -> None:
    _, session = quick.ask("echo: hello")
    quick.call("session.update", {"sessionId": session, "autoKeepAlive": True})
    _, other = quick.ask("echo: hello too")
    quick.call(
        "settings.patch", {"values": {"sessions.warning_hours": 0.5 * SECOND, "sessions.timeout_hours": 1 * SECOND}}
    )
    quick.until_state(other, "ended")
    view = quick.session(session)
    assert view["state"] != "ended"
    assert view["expiresAt"] - view["lastActivity"] == 168 * 3_600_000
    # The switch for all counts at once, for those that have none of their own.
    quick.call("settings.patch", {"values": {"sessions.timeout_hours": None}})
    _, third = quick.ask("echo: hello three")
    quick.call("settings.patch", {"values": {"sessions.auto_keep_alive": True, "sessions.timeout_hours": 1 * SECOND}})
    assert quick.session(third)["autoKeepAlive"]
    quick.call("session.update", {"sessionId": session, "autoKeepAlive": False})
    quick.until_state(session, "ended")
    assert quick.session(third)["state"] != "ended"
    quick.call("settings.patch", {"values": {"sessions.auto_keep_alive_max_hours": 1.5 * SECOND}})
    assert quick.until_state(third, "ended")["endReason"] == "expired"


def test_least_recently_used_idle_session_makes_room_and_short_memory_puts_all_to_sleep(quick: SharedHouse) -> None:
    house = quick
    house.alone()
    house.call("settings.patch", {"values": {"sessions.max_concurrent": 2}})
    _, first = house.ask("echo: 1")
    _, second = house.ask("echo: 2")
    house.ask("echo: 1 again", first)
    _, third = house.ask("echo: 3")
    states = {identity: house.session(identity)["state"] for identity in (first, second, third)}
    assert states == {first: "idle", second: "hibernated", third: "idle"}
    for identity in (first, third):
        house.send("[[gate hold]] echo: released", identity, wait=0)
        house.until_state(identity, "busy")
    until(lambda: house.model.gates() == {"hold": 2}, "both stand there: one that came later would wait for ever")
    with pytest.raises(Busy) as refusal:
        house.send("echo: no room")
    assert refusal.value.data["retryAfter"] > 0
    waiting = house.send("echo: in turn", second, wait=0)["message"]["id"]
    assert house.message(waiting)["state"] == "queued"
    house.model.release("hold")
    assert house.message(waiting, wait=30)["reply"] == "in turn"

    # Memory that is short of the total puts whoever is idle to sleep.
    house.call("settings.patch", {"values": {"sessions.max_concurrent": None, "limits.memory_total_gb": 0.01}})
    for identity in (first, second, third):
        house.until_state(identity, "hibernated")


def test_soft_memory_limit_recycles_between_turns_and_hard_one_at_once(quick: House) -> None:
    _, session = quick.ask("Remember the word LIME")
    sent = quick.send("[[gate turn]] echo: survived", session, wait=0)
    assert quick.model.wait_for_gate("turn", 30)
    pid = quick.session(session)["pid"]
    a_pass(quick)  # it has grown since it was started
    used = quick.session(session)["memoryBytes"] / 1024**2
    # Pages that it shares with processes of other tests count for more, or for less, as these come and go.
    quick.call("settings.patch", {"values": {"limits.memory_per_session_mb": max(64.0, used * 0.7)}})
    a_pass(quick)
    assert quick.session(session)["pid"] == pid
    quick.model.release("turn")
    assert quick.message(sent["message"]["id"], wait=30)["reply"] == "survived"
    until(lambda: kinds(quick, session, "memory"), "the recycling is said")
    until(lambda: quick.session(session)["pid"] not in (pid, None), "a new process")
    quick.call("settings.patch", {"values": {"limits.memory_per_session_mb": None}})
    assert quick.ask("What word did I ask you to remember?", session)[0] == "LIME"


def test_settings_are_checked_stored_and_published(quick: House) -> None:
    for wrong in (
        {"sessions.nonsense": 1},
        {"sessions.max_concurrent": 0},
        {"claude.command": "x"},
        {"sessions.timeout_hours": "x"},
    ):
        with pytest.raises(InvalidRequest):
            quick.call("settings.patch", {"values": wrong})
    quick.call("settings.patch", {"values": {"sessions.max_concurrent": 3}})
    quick.kill_supervisor()
    quick.start_supervisor()
    assert quick.call("settings.get")["settings"]["sessions.max_concurrent"] == 3
    assert [event["data"]["values"] for event in quick.events() if event["kind"] == "settings"] == [
        {"sessions.max_concurrent": 3}
    ]
