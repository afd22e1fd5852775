"""Which question to the terminal is answered: the first, once, and only while it is new."""

from __future__ import annotations

import pytest

from supervisor.terminal.queries import FirstQuery

START = b"\x1b[2Jbox \x1b[>0q\x1b[?u\x1b[c behind"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_it_is_found_once_however_the_output_is_cut(size: int) -> None:
    query = FirstQuery(0)
    output = START + b"editor \x1b[c"
    found = [query.asked(at, output[at : at + size]) for at in range(0, len(output), size)]
    assert found.count(True) == 1
    assert found.index(True) == (START.index(b" behind") - 1) // size


def test_what_was_asked_before_we_came_is_not_answered_and_neither_is_what_follows() -> None:
    query = FirstQuery(len(START))
    assert not query.asked(0, START)
    assert not query.asked(len(START), b"a person's editor: \x1b[c")


@pytest.mark.parametrize("first", [1, 5000])
def test_output_with_a_hole_before_it_may_have_asked(first: int) -> None:
    query = FirstQuery(0)
    assert not query.asked(first, b"\x1b[c")
    assert not query.asked(first + 3, b"\x1b[c")


def test_what_comes_twice_is_looked_at_once() -> None:
    query = FirstQuery(0)
    assert not query.asked(0, b"abc\x1b[")
    assert not query.asked(2, b"c\x1b[")
    assert query.asked(2, b"c\x1b[c")
