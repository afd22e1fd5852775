"""The journal is read from both ends, and what is rare in it is found while everything else has its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from supervisor.store.store import Store


async def test_the_journal_is_read_backwards_by_session_kind_and_actor(store: Store) -> None:
    for number in range(6):
        store.append("extended", "a" if number % 2 else "b", {"by": "cli" if number < 3 else "device:x"})
    store.append("audit", None, {"actor": "device:x", "op": "session.kill"})

    async def seqs(*asked: Any) -> list[int]:
        return [event.seq for event in await store.find_events_before(*asked)]

    assert await seqs(None, 3, None, None) == [7, 6, 5]
    assert await seqs(5, 9, None, None) == [4, 3, 2, 1]
    assert await seqs(99, 2, None, None) == [7, 6]
    assert await seqs(None, 9, "a", ["extended"]) == [6, 4, 2]
    assert await seqs(None, 9, None, None, "device:x") == [7, 6, 5, 4]
    assert [event.seq for event in store.events_before(None, 2, "a", ["extended"])] == [6, 4]


async def test_what_is_rare_in_the_journal_is_looked_for_in_stretches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.store.database.STRETCH_OF_EVENTS", 3)
    with store.transaction():
        for number in range(20):
            store.append("rare" if number % 7 == 0 else "text", None, {"by": f'{number % 2} "x"'})
    turns, looking = 0, True

    async def others() -> None:
        nonlocal turns
        while looking:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    behind = await store.find_events(0, 9, None, ["rare"], store.head())
    before = await store.find_events_before(None, 9, None, ["rare"])
    actor = await store.find_events_before(None, 9, None, ["rare"], '0 "x"')
    two = await store.find_events(1, 2, None, ["rare", "text"], store.head())
    looking = False
    await beside

    assert [event.seq for event in behind] == [1, 8, 15]
    assert [event.seq for event in before] == [15, 8, 1]
    assert [event.seq for event in actor] == [15, 1]
    assert [event.seq for event in two] == [2, 3]
    assert turns >= 3 * 7
