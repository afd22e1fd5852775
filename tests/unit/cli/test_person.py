"""The line editor of `pilotlight chat`, with keys as a terminal sends them."""

from __future__ import annotations

import os
import pty
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_input, create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.chat.person import Terminal

UP, ALT_ENTER, PASTE = "\x1b[A", "\x1b\r", "\x1b[200~{}\x1b[201~"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    """What is sent into it is typed."""
    monkeypatch.setattr("cli.chat.person.create_output", lambda stdout: DummyOutput())
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        yield typed


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("one\r", "one"),
        (f"one{ALT_ENTER}two\r", "one\ntwo"),
        ("one\\\rtwo\r", "one\ntwo"),
        (PASTE.format("one\ntwo\n\nthree") + "\r", "one\ntwo\n\nthree"),
        ("no\x08\x08yes\r", "yes"),
        ("a\xa0b 全角\u3000空白\r", "a\xa0b 全角\u3000空白"),
    ],
)
def test_a_text_is_edited_and_sent_with_enter(tmp_path: Path, keys: PipeInput, typed: str, text: str) -> None:
    person = Terminal(tmp_path / "history", [])
    keys.send_text(typed)
    assert person.text() == text


def test_what_was_typed_before_is_a_key_away_also_for_the_next_chat(tmp_path: Path, keys: PipeInput) -> None:
    history = tmp_path / "history"
    keys.send_text(PASTE.format("one\ntwo") + "\r")
    Terminal(history, []).text()
    keys.send_text(f"{UP}\r")
    assert Terminal(history, []).text() == "one\ntwo"
    assert history.stat().st_mode & 0o077 == 0, "what was said is private"


def test_an_enter_between_two_prompts_sends_and_the_terminal_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.chat.person.create_output", lambda stdout: DummyOutput())
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as terminal, create_app_session(input=create_input(terminal), output=DummyOutput()):
        monkeypatch.setattr("sys.stdin", terminal)
        person, before = Terminal(tmp_path / "history", []), termios.tcgetattr(slave)
        with person.present():
            with person.away():
                pass
            os.write(master, b"first\r")
            late = threading.Timer(5, os.write, (master, b"\r"))
            late.start()
            assert person.text() == "first"
            late.cancel()
        assert termios.tcgetattr(slave) == before
    os.close(master)
