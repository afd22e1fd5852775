"""Replies are remembered for repeats, within bounds."""

from __future__ import annotations

import pytest

from supervisor.bus import replies
from supervisor.bus.replies import Bounds, Replies


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(replies.time, "monotonic", lambda: now[0])
    return now


def test_a_reply_is_kept_for_its_time(clock: list[float]) -> None:
    kept = Replies(Bounds(seconds=10, replies=10, size=1000))
    kept.remember("a", b"1")
    clock[0] += 9
    kept.remember("b", b"2")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (b"1", b"2", None)
    clock[0] += 2
    kept.remember("c", b"3")
    assert (kept.get("a"), kept.get("b")) == (None, b"2")


@pytest.mark.parametrize("bounds", [Bounds(10, 3, 1000), Bounds(10, 100, 30)])
def test_the_oldest_goes_when_there_are_too_many_or_too_large(bounds: Bounds, clock: list[float]) -> None:
    kept = Replies(bounds)
    for number in range(6):
        kept.remember(str(number), b"x" * 10)
    assert [number for number in range(6) if kept.get(str(number))] == [3, 4, 5]
    kept.remember("huge", b"x" * 5000)
    assert (kept.get("5"), len(kept.get("huge") or b"")) == (None, 5000)
