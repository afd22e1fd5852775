"""Which keys at an attached terminal are for the session, which for us, and what is kept back."""

from __future__ import annotations

import pytest

from cli.terminal.keyboard import GUARDED, HINT, Keyboard, prefix_byte, prefix_name
from cli.terminal.scrollback import Scrollback

NOW = [0.0]


@pytest.fixture
def keyboard() -> Keyboard:
    """With Ctrl+] as prefix, and a clock that stands."""
    NOW[0] = 100.0
    return Keyboard(prefix_byte("C-]"), clock=lambda: NOW[0])


@pytest.mark.parametrize(("key", "name"), [(b"\x03", "Ctrl+C"), (b"\x04", "Ctrl+D")])
def test_a_second_one_would_end_claude_and_is_kept_back(keyboard: Keyboard, key: bytes, name: str) -> None:
    assert keyboard.feed(key) == [key]
    NOW[0] += 0.5
    assert keyboard.feed(b"a" + key + b"b") == [b"a", f"guarded {name}", b"b"]
    assert keyboard.feed(b"\x1d" + key) == [key]
    NOW[0] += 5
    assert keyboard.feed(key) == [key]


def test_two_in_one_read_are_told_apart_from_two_different_ones_and_from_a_paste(keyboard: Keyboard) -> None:
    assert keyboard.feed(b"\x03\x03") == [b"\x03", "guarded Ctrl+C"]
    assert keyboard.feed(b"\x04") == [b"\x04"]
    paste = b"\x1b[200~\x03\x03\x1b[201~"
    assert keyboard.feed(paste) == [paste]


def test_the_prefix_and_a_bracket_scroll_back(keyboard: Keyboard) -> None:
    assert keyboard.feed(b"\x1d[x") == ["scroll", b"x"]


def test_what_is_said_fits_a_line_of_80_columns() -> None:
    for text in (HINT, GUARDED):
        assert len(text.format(prefix=prefix_name(prefix_byte("C-]")), key="Ctrl+C")) <= 78


def test_the_past_is_seen_from_its_end_and_never_beyond_it() -> None:
    past = Scrollback([f"line {number}" for number in range(100)], rows=11, cols=40)
    assert (past.top, b"line 99" in past.drawing(), b"line 89" in past.drawing()) == (90, True, False)
    assert not past.type(b"\x1b[5~")
    assert past.top == 80
    past.type(b"g")
    past.type(b"\x1b[A")
    assert past.top == 0
    past.type(b"G")
    past.type(b" ")
    assert past.top == 90
    assert past.type(b"q")


def test_keys_that_come_at_once_are_as_many_keys() -> None:
    past = Scrollback([f"line {number}" for number in range(100)], rows=11, cols=40)
    assert not past.type(b"\x1b[5~\x1b[5~\x1b[Akk\x1bOA")
    assert past.top == 66
    assert not past.type(b"\x1b[1;5P")  # no key of ours, and no Escape either
    assert past.type(b"gqG")
    assert past.top == 0
    for part in (b"\x1b[200~a q", b"uit\rq", b"q\x1b[201~", b"\x1b[<0;3;4M", b"\x1b]11;rgb:0/0/0\x1b\\"):
        assert not past.type(part), "what is pasted, or what a terminal says, is no key"
    assert past.type(b"q")


def test_the_past_drives_no_terminal_and_long_lines_are_cut() -> None:
    past = Scrollback(["x" * 25, "evil\x1b]0;t\x07"], rows=10, cols=10)
    assert past.lines == ["x" * 10, "x" * 10, "x" * 5, "evil ]0;t "]
