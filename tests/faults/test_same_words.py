"""Two prompts with the same words: what Claude says late of the first is never taken for news of the second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.pausing import kinds
from tests.faults.stand_in import Fake
from tests.harness import until
from tests.onlooker import Viewer

WORDS = "the same words"


def person_enters(tui: Fake, session: str) -> None:
    """The same words, at the terminal; the turn has begun."""
    viewer = Viewer(tui.house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.type(f"{WORDS}\r")
        until(lambda: tui.turns == ["warm", WORDS], "the person's turn")
    finally:
        viewer.close()


@pytest.mark.parametrize("restarted", [False, True], ids=["", "by-the-next-supervisor"])
@pytest.mark.parametrize("late", ["line", "hook"])
def test_a_refused_prompt_told_late_is_not_the_next_message(
    fake: Callable[..., Fake], late: str, restarted: bool
) -> None:
    tui = fake(refuse=1, late=[late])
    first = tui.house.send(WORDS)
    assert first["message"]["state"] == "failed"
    if restarted:
        tui.house.kill_supervisor()
        tui.house.start_supervisor()
    second = tui.house.send(WORDS, first["session"]["id"])["message"]
    assert (second["state"], second["reply"]) == ("answered", f"You said: {WORDS}")
    assert tui.turns == [WORDS, WORDS]


@pytest.mark.parametrize("restarted", [False, True], ids=["", "by-the-next-supervisor"])
def test_a_persons_prompt_written_down_late_is_not_the_next_message(fake: Callable[..., Fake], restarted: bool) -> None:
    tui = fake()
    session = tui.house.send("warm")["session"]["id"]
    tui.behave(refuse=2, late=["line"])
    person_enters(tui, session)
    if restarted:
        until(lambda: kinds(tui.house, session, "prompt") == ["prompt", "prompt"], "its first hook was heard")
        until(lambda: not list((tui.house.paths.session_dir(session) / "spool").iterdir()), "and its last one")
        tui.house.kill_supervisor()
        tui.house.start_supervisor()
    second = tui.house.send(WORDS, session)["message"]
    assert (second["state"], second["reply"]) == ("answered", f"You said: {WORDS}")
    assert tui.turns == ["warm", WORDS, WORDS]


def test_a_persons_earlier_prompt_that_is_read_again_after_a_restart_is_not_the_message(
    fake: Callable[..., Fake],
) -> None:
    tui = fake()
    session = tui.house.send("warm")["session"]["id"]
    person_enters(tui, session)
    tui.pauses.hold("typed")
    sent = tui.house.send(WORDS, session, wait=0)["message"]["id"]
    tui.pauses.reached("typed")
    tui.house.kill_supervisor()
    tui.pauses.release("typed")
    tui.house.start_supervisor()
    second = tui.house.message(sent, wait=30)
    assert (second["state"], second["reply"]) == ("answered", f"You said: {WORDS}")
    assert tui.turns == ["warm", WORDS, WORDS]


def test_the_late_output_of_a_command_is_not_that_of_the_same_command_given_again(fake: Callable[..., Fake]) -> None:
    tui = fake()
    session = tui.house.send("warm")["session"]["id"]
    tui.behave(commands=True, late=["output"])
    command = {"sessionId": session, "command": "/cost now", "wait": 0}
    given = [tui.house.call("session.command", command)["messageId"] for _ in range(2)]
    until(lambda: tui.turns == ["warm", "/cost now"], "the first runs")
    tui.pauses.hold("claimed")
    assert tui.house.message(given[0], wait=30)["state"] == "answered"
    tui.pauses.reached("claimed")
    until(lambda: "output 1" in transcript(tui, session).read_text(), "the output of the first is told")
    with open(transcript(tui, session), "a") as lines:
        lines.write('{"type": "summary", "summary": "read up to here"}\n')
    until(lambda: tui.house.session(session)["title"] == "read up to here", "and read")
    tui.behave(commands=True)
    tui.pauses.release("claimed")
    second = tui.house.message(given[1], wait=30)
    assert (second["state"], second["reply"]) == ("answered", "output 2")
    assert tui.turns == ["warm", "/cost now", "/cost now"]


def transcript(tui: Fake, session: str) -> Path:
    """Where the stand-in writes down what is said."""
    (file,) = tui.house.claude_home.glob(f".claude/projects/*/{session}.jsonl")
    return file
