"""Drawings of a screen: any terminal shows the same after one, and a page of it is safe."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyghostty import Terminal

from supervisor.terminal import render
from supervisor.terminal.screen import Screen

PIECES = [
    "hello", "漢字", "é👩\u200d👩\u200d👧", "\r\n", "x" * 40, "\x1b[K", "\x1b[2K", "\x1b[?25l", "\x1b[?25h", "\x1b[?2004h",
    "\x1b[?1004h", "\x1b7", "\x1b8", "\x1b[5X", "\x1b[2J", "\x1b[?1049h", "\x1b[?1049l", "\x1b[S", "\x1b[3;7r", "\x1b[L",
    "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3;4m", "\x1b[7m", "\x1b[9m", "\x1b[31m", "\x1b[48;5;77m", "\x1b[38;2;1;2;3m",
    "\x1b[5;9H", "\x1b[1;1H", "\x1b[10;40H", "\x1b[2;33H", "\t", "\b", "\x1b[?1h",
]  # fmt: skip


JUNK = "\x1b[?1049h\x1b[?1000h\x1b[31;7mjunk\x1b[4h\x1b[3;5r\x1b[?6h" * 3


def shown(terminal: Terminal) -> list[str]:
    """The rows as a person sees them: a blank looks like an empty cell."""
    return [row.rstrip() for row in terminal.text().rstrip().split("\n")]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
@example(["x" * 40, "\x1b[?1049h"])
@example(["x" * 40, "\x1b[31m", "\x1b[?1049h"])
@example(["x" * 40, "\x1b[K"])
@example(["漢字" * 10, "\x1b[7m", "\x1b[?1049h"])
def test_a_drawing_makes_any_terminal_show_the_same_and_go_on_the_same(pieces: list[str]) -> None:
    first, second = Terminal(cols=40, rows=10), Terminal(cols=40, rows=10)
    second.feed(JUNK)
    first.feed("".join(pieces))
    second.feed(render.vt(first))
    for text in ("", "\x1b[1mQ漢\r\nzz"):
        first.feed(text)
        second.feed(text)
        assert shown(second) == shown(first)
        assert second.cursor == first.cursor
        assert [second.mode(m) for m in (1, 25, 1000, 1004, 2004)] == [first.mode(m) for m in (1, 25, 1000, 1004, 2004)]


def test_a_drawing_for_a_small_screen_fits_and_has_the_cursor() -> None:
    screen = Screen(40, 12)
    screen.feed("".join(f"line {n} {'漢' * 10}\r\n" for n in range(9)).encode() + b"> prompt")
    small = Terminal(cols=21, rows=5)
    small.feed(screen.draw(21, 5))
    assert small.text().splitlines()[0].startswith("line 6")
    assert small.text().splitlines()[3] == "> prompt"
    assert small.cursor == (8, 3)
    assert len(small.text().splitlines()) == 4


def test_html_escapes_what_was_written_and_has_its_colours() -> None:
    screen = Screen(40, 5)
    screen.feed(b"\x1b[31m<script>alert(1)</script>\x1b[0m & \x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07")
    page = screen.html()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "var(--vt-palette-1)" in page
    assert "--vt-palette-1:#cc6666" in page
    assert [render.colour(n) for n in (16, 196, 231, 232, 255)] == [
        "#000000",
        "#ff0000",
        "#ffffff",
        "#080808",
        "#eeeeee",
    ]
    assert "javascript:" not in page


@pytest.mark.parametrize("half", [b"\x1b", b"\x1b[3", b"\x1b]0;tit", "é".encode()[:1], "👩".encode()[:3]])
def test_no_drawing_is_made_within_a_sequence(half: bytes) -> None:
    screen = Screen(40, 5)
    screen.feed(b"text")
    assert screen.between_sequences
    screen.feed(half)
    assert not screen.between_sequences
