"""What is indexed now and then, and what is looked through at every turn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.history.index_upkeep import IndexUpkeep
from supervisor.store.store import SessionRecord, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "pilotlight.db")
    yield made
    made.close()


async def test_what_has_ended_is_looked_through_only_with_the_whole(store: Store, tmp_path: Path) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for number, state in enumerate(("idle", "ended")):
        record = SessionRecord(state, "/p", number, 0, state, state)
        transcript = tmp_path / f"{state}.jsonl"
        transcript.write_text(
            '{"type":"user","uuid":"u","timestamp":"2026-11-28T10:00:00Z","message":{"role":"user","content":"MEDLAR"}}\n'
        )
        record.transcript = str(transcript)
        store.save_session(record)

    def found() -> list[str]:
        return sorted(hit["sessionId"] for hit in upkeep.index.search("MEDLAR", 10, None)[0])

    assert await upkeep.catch_up(5.0, whole=False)
    assert found() == ["idle"]
    assert await upkeep.catch_up(5.0)
    assert found() == ["ended", "idle"]
    upkeep.index.close()
