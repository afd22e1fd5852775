"""Replies are remembered for repeats, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from shared.bus.messages import VERSION, Request
from shared.errors import InvalidRequest
from supervisor.bus import replies
from supervisor.bus.replies import Bounds, Replies


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(replies.time, "monotonic", lambda: now[0])
    return now


def said(kept: Replies, request_id: str) -> bytes | None:
    given = kept.get(request_id)
    return given and given.data


def test_a_reply_is_kept_for_its_time(clock: list[float]) -> None:
    kept = Replies(Bounds(seconds=10, replies=10, size=1000))
    kept.remember("a", b"?", b"1")
    clock[0] += 9
    kept.remember("b", b"?", b"2")
    assert (said(kept, "a"), said(kept, "b"), said(kept, "c")) == (b"1", b"2", None)
    clock[0] += 2
    kept.remember("c", b"?", b"3")
    assert (said(kept, "a"), said(kept, "b")) == (None, b"2")


def test_the_newest_reply_is_kept_no_longer_though_nothing_comes_after_it(clock: list[float]) -> None:
    """An id that was used again an hour later got the old reply, and nothing was done."""
    kept = Replies(Bounds(seconds=10, replies=10, size=15))
    kept.remember("a", b"?", b"x" * 10)
    clock[0] += 10
    assert kept.get("a") is None
    kept.remember("a", b"?", b"y" * 10)
    assert said(kept, "a") == b"y" * 10
    clock[0] += 5
    kept.remember("a", b"?", b"z" * 10)
    clock[0] += 6
    assert said(kept, "a") == b"z" * 10
    kept.remember("b", b"?", b"x" * 5)
    assert (said(kept, "a"), said(kept, "b")) == (b"z" * 10, b"x" * 5)


@pytest.mark.parametrize("bounds", [Bounds(10, 3, 1000), Bounds(10, 100, 30)])
def test_the_oldest_goes_when_there_are_too_many_or_too_large(bounds: Bounds, clock: list[float]) -> None:
    kept = Replies(bounds)
    for number in range(6):
        kept.remember(str(number), b"?", b"x" * 10)
    assert [number for number in range(6) if kept.get(str(number))] == [3, 4, 5]
    kept.remember("huge", b"?", b"x" * 5000)
    assert (said(kept, "5"), len(said(kept, "huge") or b"")) == (None, 5000)


def test_a_question_that_cannot_be_written_down_again_is_refused() -> None:
    args: dict[str, Any] = {}
    for _ in range(100_000):
        args = {"a": args}
    with pytest.raises(InvalidRequest):
        replies.question(Request(v=VERSION, id="a", op="ping", args=args))
