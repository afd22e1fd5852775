"""A session on a database, and a disk that refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.store.sqlite import Connection
from supervisor.store.store import Store
from tests.unit.observation.claude_lab import Claude
from tests.unit.store.refusing import Refusing


@pytest.fixture
def claude(tmp_path: Path, store: Store) -> Claude:
    return Claude(tmp_path, store)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    made = Refusing()
    monkeypatch.setattr(Connection, "execute", lambda connection, *asked: made.execute(connection, *asked))
    return made
