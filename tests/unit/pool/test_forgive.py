"""Whoever stops and starts the supervisor is not kept waiting by what `claude` died of before."""

from __future__ import annotations

from pathlib import Path

from supervisor.lifecycle.restart_policy import pause
from supervisor.pool.recovery import forgive
from tests.unit.store.test_long_queue import Table


async def test_a_start_after_a_stop_is_not_put_off(tmp_path: Path) -> None:
    table = Table(tmp_path)
    session = table.pool.managed("s").session
    session.record.failures = 7
    forgive([session])
    kept = table.store.session("s")
    assert kept is not None
    assert kept.failures == 1
    assert pause(kept.failures, 1.0) == 0.0
    session.record.failures = 0
    forgive([session])
    assert session.record.failures == 0
    await table.pool.close()
    table.store.close()
