"""What a full terminal means for a write: it is late, and only one of which nothing went out may be asked again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from supervisor.holder.input_queue import Keyboard


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Instead of a pty: it is full as soon as nobody reads."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


def drained(end: int) -> bytes:
    found = b""
    with suppress(BlockingIOError):
        while data := os.read(end, 65536):
            found += data
    return found


def test_what_was_not_typed_may_be_asked_again_and_what_was_in_part_may_not(pipe: tuple[int, int]) -> None:
    out, into = pipe
    keyboard, told = Keyboard(into), list[dict[str, Any]]()
    keyboard.submit("long", b"x" * 1_000_000, 1.0, told.append, now=0.0)
    keyboard.submit("short", b"y", 1.0, told.append, now=0.0)
    keyboard.pump(2.0)
    written = told[0]["error"]["written"]
    assert [answer["error"]["code"] for answer in told] == ["timeout", "timeout"]
    assert (0 < written < 1_000_000, told[1]["error"]["written"]) == (True, 0)

    assert drained(out) == b"x" * written
    for name, data in (("short", b"y"), ("short", b"y"), ("long", b"x")):
        keyboard.submit(name, data, 1.0, told.append, now=3.0)
    assert drained(out) == b"y"
    assert [answer.get("duplicate") for answer in told[2:]] == [None, True, True]
    assert told[4]["error"]["written"] == written
