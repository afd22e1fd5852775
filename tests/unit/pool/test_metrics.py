"""Counters say what happened, each thing once: a recycling is neither a nap nor a wake, a revival is no wake."""

from __future__ import annotations

from typing import Any

import pytest

from shared.bus.messages import VERSION, Event
from supervisor.pool.metrics import Metrics, latency


def state(before: str, to: str, cause: str, **more: Any) -> Event:
    data = {"from": before, "to": to, "cause": cause, **more}
    return Event(v=VERSION, epoch="e", seq=1, at=0, kind="state", session="s", data=data)


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ([state("hibernated", "starting", "created", generation=1)], {"starts": 1}),
        ([state("hibernated", "starting", "message", generation=2)], {"starts": 1, "wakes": 1}),
        ([state("hibernated", "starting", "crashed", generation=2)], {"starts": 1}),
        ([state("ended", "starting", "reopened", generation=1)], {}),
        ([state("stopping", "hibernated", "room_needed")], {"hibernations": 1}),
        (
            [state("stopping", "hibernated", "memory"), state("hibernated", "starting", "memory", generation=3)],
            {"starts": 1, "recycles": 1},
        ),
        ([state("stopping", "ended", "inactivity", reason="expired")], {"expiries": 1}),
        ([state("idle", "busy", "evidence")], {}),
    ],
)
def test_each_thing_is_counted_once(events: list[Event], counted: dict[str, int]) -> None:
    metrics = Metrics()
    metrics.take(events)
    assert {name: count for name, count in metrics.counts.items() if count} == counted


def test_latency_percentiles_in_order_and_only_of_steps_that_were_taken() -> None:
    table = latency([{"accepted": 0, "answered": n} for n in range(100)])
    assert set(table) == {"accepted_to_answered"}
    assert table["accepted_to_answered"] == {"count": 100.0, "p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert latency([]) == {}
