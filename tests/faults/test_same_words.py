"""Two prompts with the same words: what Claude says late of the first is never taken for news of the second."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeHouse
from tests.faults.pausing import kinds
from tests.faults.test_typing_faults import Fake
from tests.harness import until
from tests.onlooker import Viewer

WORDS = "the same words"


@pytest.fixture
def fake(make_house: MakeHouse, one_cli: Path) -> Callable[..., Fake]:
    def make(**script: object) -> Fake:
        made = Fake(make_house(one_cli))
        made.behave(**script)
        made.house.start_supervisor()
        return made

    return make


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
    viewer = Viewer(tui.house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.type(f"{WORDS}\r")
        until(lambda: tui.turns == ["warm", WORDS], "the person's turn")
    finally:
        viewer.close()
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
    viewer = Viewer(tui.house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.type(f"{WORDS}\r")
        until(lambda: tui.turns == ["warm", WORDS], "the person's turn")
    finally:
        viewer.close()
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
    assert tui.house.message(given[0], wait=20)["state"] == "answered"
    tui.pauses.reached("claimed")
    until(lambda: "output 1" in transcript(tui), "the output of the first is told")
    time.sleep(0.3)  # and read, or it is read later: nothing says so
    tui.behave(commands=True)
    tui.pauses.release("claimed")
    second = tui.house.message(given[1], wait=20)
    assert (second["state"], second["reply"]) == ("answered", "output 2")
    assert tui.turns == ["warm", "/cost now", "/cost now"]


def transcript(tui: Fake) -> str:
    """What the stand-in has written down."""
    (file,) = tui.house.claude_home.glob(".claude/projects/*/*.jsonl")
    return file.read_text()
