"""Who looks for what a process has left behind, and how often: each look reads of every process of the machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.lifecycle import orphans


@pytest.mark.parametrize(("generation", "looks"), [(0, 0), (1, 1)])
async def test_a_start_looks_once_and_a_first_one_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: int, looks: int
) -> None:
    looked: list[Path] = []
    real = orphans.belonging
    monkeypatch.setattr(orphans, "belonging", lambda folder: looked.append(folder) or real(folder))
    record = SimpleNamespace(generation=generation, child=None)
    await orphans.end_them(cast(Any, SimpleNamespace(dir=tmp_path, record=record)))
    assert looked == [tmp_path] * looks
