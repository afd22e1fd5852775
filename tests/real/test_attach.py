"""`pilotlight attach` and `watch` in a real tmux, against the real CLI."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import LendHouse
from tests.harness import House, until
from tests.onlooker import Tmux


@pytest.fixture
def tmux(house: House) -> Iterator[Tmux]:
    """A window of 90 x 25 with a shell, in which `pl` is the command."""
    window = Tmux(house.folder, house.environment(), 90, 25)
    window.type(f'pl() {{ {sys.executable} -m cli "$@"; }}; stty -g > before; clear')
    window.keys("Enter")
    window.until(lambda: "stty" not in window.text, "a clear window")
    yield window
    window.close()


def back_in_the_shell(house: House, tmux: Tmux, said: str) -> None:
    """The terminal is as it was: what it showed, what it echoes, and what the shell types."""
    tmux.until_shown(f"[{said}")
    tmux.type("stty -g > after; cmp before after && echo as' 'it was")
    tmux.keys("Enter")
    tmux.until_shown("as it was")
    assert "KEPT" in tmux.text
    tmux.keys("C-l")


def test_attach_type_resize_detach_reattach_and_outlive_a_dead_supervisor(house: House, tmux: Tmux) -> None:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    house.until_state(session, "idle")
    tmux.type(f"echo KEPT; pl attach {session[:8]}")
    tmux.keys("Enter")
    tmux.until_shown("❯ ")
    until(lambda: house.session(session)["writer"], "the person has the keyboard")
    until(lambda: house.call("session.screen", {"sessionId": session})["cols"] == 90, "the window's size")
    tmux.until_shown("Ctrl+] d leaves, and the session goes on")

    # What has scrolled away is there, and nothing of it reaches the session.
    tmux.keys("C-]", "[")
    tmux.until_shown("PgUp PgDn")
    tmux.keys("g")
    tmux.until_shown("Claude Code v")
    tmux.keys("q")
    tmux.until(lambda: "PgUp PgDn" not in tmux.text, "back at the session")

    # Ctrl+C is Claude's, a second one would end it.
    tmux.keys("C-c")
    tmux.keys("C-c")
    tmux.until_shown("Ctrl+C again ends Claude")

    tmux.type("echo: typed in tmux")
    tmux.until_shown("❯ echo: typed in tmux")
    tmux.keys("Enter")
    tmux.until_shown("● typed in tmux")

    tmux("resize-window", "-t", "t", "-x", "70", "-y", "20")
    until(lambda: house.call("session.screen", {"sessionId": session})["cols"] == 70, "the new size")
    tmux.until_shown("● typed in tmux")

    tmux.keys("C-]", "d")
    back_in_the_shell(house, tmux, "detached]")
    until(lambda: house.session(session)["attached"] == 0, "detached")
    house.until_state(session, "idle")

    # Again, and the supervisor is killed under it: it says so, comes back, and goes on.
    pid = house.session(session)["pid"]
    tmux.type(f"echo KEPT; pl attach {session[:8]}")
    tmux.keys("Enter")
    tmux.until_shown("● typed in tmux")
    house.kill_supervisor()
    tmux.until_shown("The supervisor is away")
    house.start_supervisor()
    until(lambda: house.session(session)["writer"], "attached again")

    def drawn() -> bool:
        """Where a holder is slow, the supervisor is back before there is a terminal to type into."""
        text = tmux.text
        return "is away" not in text and "no process" not in text and "● typed in tmux" in text

    tmux.until(drawn, "drawn again")
    tmux.type("echo: after the crash")
    tmux.until_shown("❯ echo: after the crash")
    tmux.keys("Enter")
    tmux.until_shown("● after the crash")
    assert house.session(session)["pid"] == pid

    # A signal ends it, too, and leaves the terminal as it was.
    (attached,) = (
        p for p in psutil.process_iter(["cmdline"]) if {"attach", session[:8]} <= set(p.info["cmdline"] or ())
    )
    attached.send_signal(signal.SIGTERM)
    back_in_the_shell(house, tmux, "ended by SIGTERM]")
    house.until_state(session, "idle")

    # To look only, in a window that is smaller than the session.
    tmux.type(f"echo KEPT; pl watch {session[:8]}")
    tmux.keys("Enter")
    tmux.until_shown("● after the crash")
    assert (house.session(session)["attached"], house.session(session)["viewers"]) == (0, 1)
    assert house.ask("echo: seen by a watcher", session)[0] == "seen by a watcher"
    tmux.until_shown("● seen by a watcher")
    house.call("session.kill", {"sessionId": session})
    back_in_the_shell(house, tmux, "the session has ended: killed]")


def test_attach_says_what_is_wrong_and_who_has_the_keyboard(lend_house: LendHouse, one_cli: Path) -> None:
    house = lend_house(one_cli)
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    command = f"{sys.executable} -m cli"
    windows = [Tmux(house.folder, house.environment(), 100, 25) for _ in range(2)]
    try:
        first, second = windows
        first.type(f"{command} attach nothing; {command} attach {session[:8]} < /dev/null; echo status $?")
        first.keys("Enter")
        first.until_shown("No session begins with 'nothing'")
        first.until_shown("This needs a terminal")
        first.until_shown("status 5")

        first.type(f"clear; {command} attach --prefix C-a {session[:8]}")  # it sleeps, and is woken
        first.keys("Enter")
        first.until_shown("❯ ")
        until(lambda: house.session(session)["writer"], "the first has the keyboard")
        second.type(f"{command} attach {session[:8]}")
        second.keys("Enter")
        second.until_shown("has the keyboard. Ctrl+] s takes it.")
        second.keys("C-]", "s")
        first.until_shown("has taken the keyboard. Ctrl+A s takes it.")
        second.type("draft")
        first.until_shown("❯ draft")
        second.keys("C-]", "?")
        second.until_shown("Ctrl+] then d: detach")
        second.keys("C-]", "d")
        second.until_shown("[detached]")
        until(lambda: house.session(session)["writer"] is None, "the supervisor has seen him go")
        first.type(" of two")
        first.until_shown("❯ draft of two")
        first.keys("C-a", "d")
        first.until_shown("[detached]")
    finally:
        for window in windows:
            window.close()
