"""The machine reboots: every process is gone at once, the database and the transcripts are there. Conversations resume, one
event says so, what was queued is delivered and what was cut off is `interrupted`."""

from __future__ import annotations

import signal

import pytest

from shared import process
from shared.errors import Conflict
from tests.conftest import LendHouse
from tests.faults.pausing import Pauses, fates, first_tries, kinds
from tests.harness import House, claude_binary, releases, until


def power_off(house: House) -> None:
    """SIGKILL everything of the house at once, the supervisor first so that nothing is mended: all are stopped before, so that no
    holder sees its `claude` go and writes it down."""
    house.kill_supervisor()
    victims = house.marked()
    for sent in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            process.send_signal(victim, sent)
    until(lambda: not house.marked(), "everything is gone")


def test_idle_sessions_resume_and_what_was_cut_off_is_interrupted_and_its_queue_goes_on(house: House) -> None:
    words = ("APPLE", "PEAR")
    idle, working = sessions = [house.ask(f"Remember the word {word}")[1] for word in words]
    cut = house.send("[[gate never]] echo: lost", working, wait=0)["message"]["id"]
    waits = house.send("echo: kept", working, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("never", 30)
    # The service hears of a prompt before Claude has written it down: cut off in between, it was never said, and is sent.
    until(lambda: house.message(cut)["state"] == "submitted", "Claude has told of the prompt")
    power_off(house)
    house.start_supervisor()
    assert house.message(waits, wait=30)["reply"] == "kept"
    assert house.message(cut)["state"] == "interrupted"
    remembered = [f"Remember the word {word}" for word in words]
    assert first_tries(house) == [*remembered, "[[gate never]] echo: lost", "echo: kept"]
    assert sorted(fates(house, working).values()) == ["answered", "answered", "interrupted"]
    assert set(fates(house, idle).values()) == {"answered"}
    for session, word in zip(sessions, words, strict=True):
        until(lambda session=session: kinds(house, session, "resumed"), "resumed")
        assert house.ask("What word did I ask you to remember?", session)[0] == word
        assert kinds(house, session, "crashed", "resumed", "adopted", "ended") == ["crashed", "resumed"]


@pytest.mark.parametrize(
    ("version", "points"),
    [(version, points) for points in (("armed", "typed"), ("spawning", "launched")) for version in releases(points[0])],
)
def test_message_on_its_way_is_delivered_once(lend_house: LendHouse, version: str, points: tuple[str, ...]) -> None:
    house = lend_house(claude_binary(version))
    pauses = Pauses(house)
    session = None
    for number, point in enumerate(points, 1):
        pauses.hold(point)
        sent = house.send(f"echo: {point}", session, wait=0)
        pauses.reached(point)
        power_off(house)
        pauses.release(point)
        house.start_supervisor()
        assert house.message(sent["message"]["id"], wait=30)["reply"] == point
        assert first_tries(house) == [f"echo: {each}" for each in points[:number]]
        session = sent["session"]["id"]
        if point == "spawning":  # the next point is one of a start, too
            house.call("session.kill", {"sessionId": session})
            session = None


def test_conversation_whose_transcript_is_gone_is_lost_with_its_reason(house: House) -> None:
    _, session = house.ask("Remember the word PLUM")
    waits = house.send("[[gate g]] echo: cut", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("g", 30)
    until(lambda: house.message(waits)["state"] == "submitted", "Claude has told of the prompt")
    queued = house.send("echo: for nobody", session, wait=0)["message"]["id"]
    power_off(house)
    for transcript in house.claude_home.glob(f".claude/projects/*/{session}.jsonl"):
        transcript.unlink()
    house.start_supervisor()
    ended = house.until_state(session, "ended")
    assert ended["endReason"] == "lost"
    assert "transcript" in ended["endDetail"]
    assert house.message(waits)["state"] == "interrupted"
    assert (house.message(queued)["state"], house.message(queued)["error"]["code"]) == ("failed", "transcript_missing")
    assert kinds(house, session, "ended") == ["ended"]
    with pytest.raises(Conflict):
        house.send("echo: hello?", session)
