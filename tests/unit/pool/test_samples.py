"""Samples over time: averaged, bounded, and kept over a restart where they cover more than an hour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.pool import samples as module
from supervisor.pool.metrics import Metrics
from supervisor.pool.samples import Samples
from supervisor.store.store import Store

MINUTE = 60_000


def pool_of(store: Any, *sessions: Any) -> Any:
    return SimpleNamespace(store=store, sessions=lambda: list(sessions))


def session(memory: int, messages: int = 0) -> Any:
    record = SimpleNamespace(message_count=messages)
    return SimpleNamespace(id="s", live=True, memory_bytes=memory, cpu_percent=10.0, record=record)


def test_a_minute_is_one_sample_an_hour_is_bounded_and_a_day_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, one = Store(tmp_path / "db"), session(100)
    samples, metrics = Samples(pool_of(store, one), made := Metrics()), made
    for tick in range(0, 70 * MINUTE, 15_000):
        monkeypatch.setattr(module, "now_ms", lambda tick=tick: tick)
        one.memory_bytes = 100 if tick % MINUTE else 500
        one.record.message_count += tick % MINUTE == 0
        metrics.counts["messages_accepted"] += tick % MINUTE == 0
        samples.take()
    hour = samples.view("hour")
    assert len(hour) == 61, "60 whole ones and the one under way"
    assert {sample.memory_bytes for sample in hour} == {200}
    assert {sample.messages for sample in hour} == {1}
    assert [sample.at for sample in hour] == list(range(9 * MINUTE, 70 * MINUTE, MINUTE))
    assert len(samples.each()["s"]) == 61
    day = samples.view("day")
    assert (len(day), day[1].messages) == (14, 5)

    again = Samples(pool_of(store), Metrics())
    assert [sample.at for sample in again.view("day")] == [sample.at for sample in day[:-1]]
    assert again.view("hour") == []
    store.close()


def test_a_series_ends_with_its_session(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "db"), session(100)
    samples = Samples(pool_of(store, one), Metrics())
    samples.take()
    one.live = False
    samples.take()
    assert samples.each() == {}
    store.close()
