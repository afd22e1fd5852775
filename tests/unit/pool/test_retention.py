"""The folders of the ended: only those that are to go are read, and they go."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from shared.config import Config
from supervisor.pool.retention import Retention
from supervisor.store.store import SessionRecord, Store, now_ms

DAY_MS = 86_400_000


async def test_what_has_ended_lately_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "pilotlight.db")
    sessions = tmp_path / "sessions"
    for number in range(40):
        record = SessionRecord(f"s{number}", "/p", number, 0, "ended", f"c{number}")
        record.ended_at = now_ms() - (60 * DAY_MS if number in (3, 4, 5) else 1000)
        store.save_session(record)
        (sessions / record.id).mkdir(parents=True)
    (sessions / "s4" / "recording-1.cast").touch()
    services = SimpleNamespace(
        config=Config, paths=SimpleNamespace(sessions_dir=sessions), claude_home=tmp_path, log=logging.getLogger("test")
    )
    back = SimpleNamespace(id="s5", record=SimpleNamespace(conversation_id="c5"))
    pool: Any = SimpleNamespace(store=store, services=services, sessions=lambda: [back])
    retention = Retention(pool)
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)

    assert not retention.tidy()
    assert retention._removal is not None
    await retention._removal

    store._db.set_trace_callback(None)
    assert sorted(folder.name for folder in sessions.iterdir()) == sorted({f"s{n}" for n in range(40)} - {"s3"})
    assert len([sql for sql in asked if "FROM sessions WHERE id=" in sql]) == 1
    store.close()
