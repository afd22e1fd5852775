"""Two nodes: one that has a conversation, and one that a move goes to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.moving.place import Place, furnish


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path, "n1")
    furnish(place)
    yield place
    await place.close()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path, "n2")
    yield place
    await place.close()
