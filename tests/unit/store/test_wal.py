"""The write-ahead log grows while another program reads in one transaction, is said to, and shrinks when that has ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.pool import checks
from supervisor.store import wal
from supervisor.store.store import Store

KILOBYTE = 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pilotlight.db"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(wal, "USUAL_BYTES", 1024 * KILOBYTE)
    monkeypatch.setattr(wal, "LARGE_BYTES", 4096 * KILOBYTE)
    opened = Store(path)
    yield opened
    opened.close()


def write(store: Store, kilobytes: int) -> None:
    """So much, in small transactions."""
    for _ in range(kilobytes // 16):
        store.append("text", "s", {"delta": "x" * 16 * KILOBYTE})


def finding(store: Store) -> dict[str, str]:
    pool: Any = SimpleNamespace(store=store)
    return checks._database(pool)


def test_what_another_program_keeps_is_said_and_given_back(store: Store, path: Path) -> None:
    write(store, 512)
    assert finding(store)["status"] == "ok"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM events").fetchone()
        write(store, 8192)
        assert store.wal.size > 8000 * KILOBYTE
        store.release_memory()  # waits for nobody, and cannot do anything
        assert store.wal.size > 8000 * KILOBYTE
        said = finding(store)
        assert (said["status"], "pilotlight.db-wal" in said["detail"]) == ("warn", True)
    store.release_memory()
    assert store.wal.size <= wal.USUAL_BYTES
    assert finding(store)["status"] == "ok"


def test_it_shrinks_by_itself_as_soon_as_something_is_written(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM events").fetchone()
        write(store, 8192)
    write(store, 64)
    assert store.wal.size <= 2 * wal.USUAL_BYTES


def test_a_reader_that_comes_now_and_then_is_not_waited_for(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM events").fetchone()
        write(store, 2048)
        reader.execute("COMMIT")
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM events").fetchone()
        store.release_memory()
        store.append("text", "s", {"delta": "goes on"})
        assert store._db.execute("PRAGMA busy_timeout").fetchone()[0] > 0
