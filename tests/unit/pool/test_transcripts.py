"""When a transcript is made to look younger."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.claude.settings.set_up import CLEANUP_DAYS, cleanup_days
from supervisor.pool.transcripts import DAY_SECONDS, Transcripts, is_due
from supervisor.store.store import SessionRecord, Store


def test_long_before_claude_would_delete_it() -> None:
    assert not is_due(9 * DAY_SECONDS, 30.0)
    assert is_due(11 * DAY_SECONDS, 30.0)


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        ("{}", CLEANUP_DAYS),
        ('{"cleanupPeriodDays": 3}', 3.0),
        ('{"cleanupPeriodDays": 0}', CLEANUP_DAYS),
        ("x", CLEANUP_DAYS),
    ],
)
def test_the_period_is_the_persons(tmp_path: Path, settings: str, days: float) -> None:
    (tmp_path / "settings.json").write_text(settings)
    assert cleanup_days(tmp_path) == days


async def test_all_that_is_known_are_kept_young_and_nobody_waits_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "pilotlight.db")
    old, young, before = (tmp_path / f"{name}.jsonl" for name in ("old", "young", "before"))
    for path, days in ((old, 20), (young, 1), (before, 20)):
        path.touch()
        os.utime(path, (0, time.time() - days * DAY_SECONDS))
    for number, path in enumerate((old, young)):
        record = SessionRecord(f"s{number}", "/p", number, 0, "ended" if number else "hibernated", "c", 1)
        record.transcript = str(path)
        record.conversations = [] if number else [{"id": "b", "transcript": str(before)}]
        store.save_session(record)
    ages = [path.stat().st_mtime for path in (old, young, before)]
    pool: Any = SimpleNamespace(store=store, services=SimpleNamespace(claude_home=tmp_path))
    transcripts = Transcripts(cast(Any, pool))

    assert not transcripts.keep()
    assert [path.stat().st_mtime for path in (old, young, before)] == ages, "it has only been begun"
    looking = transcripts._looking
    assert looking is not None
    assert not transcripts.keep()
    await looking

    assert transcripts._looking is looking, "once an hour"
    assert [path.stat().st_mtime > age for path, age in zip((old, young, before), ages, strict=True)] == [
        True,
        False,
        True,
    ]
    store.close()


async def test_the_loop_goes_through_none_of_thousands(tmp_path: Path) -> None:
    seen: list[int] = []

    class Record(SimpleNamespace):
        def __getattribute__(self, name: str) -> Any:
            seen.append(threading.get_ident())
            return super().__getattribute__(name)

    async def every_session() -> list[Any]:
        return [Record(conversations=[], transcript=str(tmp_path / f"{number}.jsonl")) for number in range(100)]

    store = SimpleNamespace(every_session=every_session)
    pool: Any = SimpleNamespace(store=store, services=SimpleNamespace(claude_home=tmp_path))
    await Transcripts(cast(Any, pool)).look()
    assert len(seen) >= 200
    assert threading.get_ident() not in seen
