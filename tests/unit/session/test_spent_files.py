"""What is needed no more is removed behind everything else, and nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from supervisor.lifecycle.launch import make_directories
from supervisor.session import spent_files
from supervisor.session.spent_files import LEFT_SECONDS, SpentFiles
from supervisor.store.store import Store
from tests.unit.observation.claude_lab import Claude


async def test_they_go_together_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spent_files, "TOGETHER_SECONDS", 0.01)
    spent, files = SpentFiles(), [tmp_path / name for name in ("a", "b", "c")]
    for file in files[:2]:
        file.touch()
    spent.add(tmp_path / "there is none")
    spent.add(tmp_path / "a" / "file is no folder")
    for file in files[:2]:
        spent.add(file)
        assert file.exists()
    async with asyncio.timeout(10.0):
        while any(file.exists() for file in files):
            await asyncio.sleep(0.001)
    files[2].touch()
    spent.add(files[2])
    async with asyncio.timeout(10.0):
        while files[2].exists():
            await asyncio.sleep(0.001)


def test_who_ends_removes_them_at_once(tmp_path: Path) -> None:
    spent, file = SpentFiles(), tmp_path / "a"
    file.touch()
    spent.add(file)
    spent.remove()
    assert not file.exists()


def test_what_one_that_died_has_left_goes_before_the_next_process_begins(tmp_path: Path, store: Store) -> None:
    session = Claude(tmp_path, store).session
    make_directories(session)
    left, heard_now = (session.dir / "spool" / name for name in ("42.0", "43.0"))
    for file in (left, heard_now):
        file.touch()
    os.utime(left, (0.0, time.time() - LEFT_SECONDS - 1.0))
    make_directories(session)
    assert (left.exists(), heard_now.exists()) == (False, True)
