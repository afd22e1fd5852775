"""What is needed no more is removed behind everything else, and nobody waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from supervisor.session import spent_files
from supervisor.session.spent_files import SpentFiles


async def test_they_go_together_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spent_files, "TOGETHER_SECONDS", 0.01)
    spent, files = SpentFiles(), [tmp_path / name for name in ("a", "b", "c")]
    for file in files[:2]:
        file.touch()
    spent.add(tmp_path / "there is none")
    spent.add(tmp_path / "a" / "file is no folder")
    for file in files[:2]:
        spent.add(file)
        spent.remove_soon()
        assert file.exists()
    async with asyncio.timeout(10.0):
        while any(file.exists() for file in files):
            await asyncio.sleep(0.001)
    files[2].touch()
    spent.add(files[2])
    spent.remove_soon()
    async with asyncio.timeout(10.0):
        while files[2].exists():
            await asyncio.sleep(0.001)


def test_who_ends_removes_them_at_once(tmp_path: Path) -> None:
    spent, file = SpentFiles(), tmp_path / "a"
    file.touch()
    spent.add(file)
    spent.remove()
    assert not file.exists()
