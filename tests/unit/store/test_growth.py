"""Thousands of conversations, millions of events: to open, look for and drop something costs what is found, not what there is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from supervisor.pool.recovery import open_store
from supervisor.store import verification
from supervisor.store.sqlite import Connection, Damaged, connect
from supervisor.store.store import SessionRecord, Store


def plans(store: Store, asked: list[str]) -> str:
    """How SQLite goes about what was asked."""
    store._db.set_trace_callback(None)
    return " ".join(str(row[3]) for sql in asked for row in store._db.execute(f"EXPLAIN QUERY PLAN {sql}"))


def traced(store: Store) -> list[str]:
    """The statements from now on."""
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    return asked


# -- sessions -----------------------------------------------------------------------------------------------------------


def test_the_open_ones_are_found_without_reading_those_that_have_ended(store: Store) -> None:
    asked = traced(store)
    store.page_of_sessions((1, "a"), 10, False)
    store.sessions()
    store.open_ones()
    found = plans(store, asked)
    assert found.count("sessions_open") == 3
    assert "TEMP B-TREE" not in found


async def test_those_that_ended_lately_or_long_ago_are_found_by_when(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.store.store.PAGE_OF_SESSIONS", 4)
    for number in range(6):
        record = SessionRecord(f"s{number}", "/p", number, 0, "ended" if number else "idle", "c")
        record.ended_at = number * 10 if number else None
        store.save_session(record)
    asked = traced(store)
    assert [record.id for record in await store.ended_since(40)] == ["s5", "s4"]
    assert [record.id for record in await store.ended_since(0)] == ["s5", "s4", "s3", "s2", "s1"]
    assert store.ended_before(30) == {"s1", "s2"}
    assert [record.id for record in store.page_of_ended(None)] == ["s5", "s4", "s3", "s2"]
    assert [record.id for record in store.page_of_ended(store.session("s3"))] == ["s2", "s1"]
    found = plans(store, asked)
    assert found.count("sessions_ended") == 7
    assert "SCAN" not in found
    assert "TEMP B-TREE" not in found


def test_a_page_of_those_that_have_ended_is_read_in_its_order(store: Store) -> None:
    asked = traced(store)
    store.page_of_sessions((1, "a"), 10, True)
    found = plans(store, asked)
    assert "sessions_order" in found
    assert "TEMP B-TREE" not in found


def test_whether_an_answer_is_too_old_is_asked_of_an_index(store: Store) -> None:
    asked = traced(store)
    store.prune(1.0, 10)
    (question,) = [sql for sql in asked if "FROM keys" in sql]
    assert "keys_at" in plans(store, [question])


# -- the journal ----------------------------------------------------------------------------------------------------------


def test_the_size_of_the_journal_is_noted_and_not_measured_again(tmp_path: Path) -> None:
    first = Store(tmp_path / "pilotlight.db")
    for number in range(5):
        first.append("text", "a", {"text": "x" * number})
    first.prune(1.0, 100)
    size = first.journal.bytes
    first.close()

    again = Store(tmp_path / "pilotlight.db")
    assert again.journal.bytes == size
    again.set_meta("journal_size", f"1 {again.head()} 1000000")  # so that whoever measures everything is found out
    again.append("text", "a", {"text": "behind it"})
    behind = again.journal.bytes - size
    again._db.close()  # a kill: nothing is noted any more
    killed = Store(tmp_path / "pilotlight.db")
    assert killed.journal.bytes == 1_000_000 + behind

    killed.prune(1.0, 3)
    dropped = Store(tmp_path / "pilotlight.db")
    assert dropped.journal.bytes == killed.journal.bytes
    dropped.set_meta("journal_size", f"1 {dropped.head()} 1000000")  # before the beginning was dropped
    measured = Store(tmp_path / "pilotlight.db")
    assert size > measured.journal.bytes > 0
    for one in (killed, dropped, measured):
        one.close()


@pytest.mark.parametrize(("keep_count", "keep_mb"), [(2, 100.0), (100, 0.0003)])
def test_a_pass_drops_no_more_than_the_loop_can_bear(
    store: Store, monkeypatch: pytest.MonkeyPatch, keep_count: int, keep_mb: float
) -> None:
    monkeypatch.setattr("supervisor.store.event_journal.DROPPED_AT_ONCE", 3)
    for _ in range(10):
        store.append("text", None, {})
    left = []
    for _ in range(4):
        store.prune(1.0, keep_count, keep_mb)
        left.append(store.oldest())
    assert left == [4, 7, 9, 9]


async def test_what_is_rare_of_a_session_is_gone_to_and_not_looked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.store.database.STRETCH_OF_EVENTS", 2)
    with store.transaction():
        for number in range(200):
            store.append("text", "a" if number in (3, 150) else "b", {})
    asked = traced(store)
    behind = await store.find_events(0, 9, "a", ["text"], store.head())
    before = await store.find_events_before(None, 9, "a", ["text"])
    store._db.set_trace_callback(None)
    assert [event.seq for event in behind] == [4, 151]
    assert [event.seq for event in before] == [151, 4]
    assert len(asked) < 15
    assert await store.find_events(151, 9, "a", None, store.head()) == []
    assert await store.find_events_before(4, 9, "a", None) == []


# -- damage ---------------------------------------------------------------------------------------------------------------


def damage_events(path: Path) -> None:
    """Write over the root of the tree by which a session's events are found, and of nothing else."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='events_session'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


async def test_a_large_database_is_looked_at_beside_the_work_and_put_aside_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.store.verification.WHOLE_BYTES", 0)
    path = tmp_path / "pilotlight.db"
    first = Store(path)
    first.save_session(SessionRecord("s", "/p", 1, 1, "idle", "c"))
    first.append("text", "s", {"text": "x"})
    first.prune(1.0, 100)
    first.close()
    damage_events(path)

    store, loss = open_store(path)
    assert loss is None, "it is found beside the work"
    assert [record.id for record in store.sessions()] == ["s"]
    with pytest.raises(Damaged):
        await store.verify_rest()
    store.close()

    again, loss = open_store(path)
    assert loss is not None
    assert [record.id for record in loss.sessions] == ["s"]
    again.close()
    store, loss = open_store(path)
    assert loss is None, "the new one is not suspected"
    store.close()


async def test_a_database_that_cannot_be_read_now_is_looked_at_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.store.verification.WHOLE_BYTES", 0)
    monkeypatch.setattr("supervisor.store.verification.AGAIN_SECONDS", 0.0)
    path = tmp_path / "pilotlight.db"
    Store(path).close()
    damage_events(path)
    seen: list[str] = []

    def refuse_once(opened: Path) -> Connection:
        seen.append("opened")
        if len(seen) == 1:
            raise sqlite3.OperationalError("database is locked")
        return connect(opened)

    monkeypatch.setattr("supervisor.store.verification.connect", refuse_once)
    store, loss = open_store(path)
    assert loss is None
    with pytest.raises(Damaged):
        await store.verify_rest()
    assert len(seen) == 2
    assert verification.suspected(path)
    store.close()


def test_a_small_database_is_looked_at_whole_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.db"
    first = Store(path)
    first.append("text", "s", {"text": "x"})
    first.prune(1.0, 100)
    first.close()
    damage_events(path)
    store, loss = open_store(path)
    assert loss is not None
    store.close()
