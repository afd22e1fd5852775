"""A bus on real sockets for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from tests.unit.bus.server_lab import Lab


@pytest_asyncio.fixture
async def make_lab(folder: Path) -> AsyncIterator[Callable[[], Lab]]:
    """For a test that changes something first: a context that is left by one that fails would hold up the end of the run."""
    made: list[Lab] = []

    def make() -> Lab:
        made.append(Lab(folder))
        return made[-1]

    yield make
    for lab in made:
        await lab.stop()
        lab.context.destroy(0)


@pytest_asyncio.fixture
async def lab(make_lab: Callable[[], Lab]) -> Lab:
    return make_lab()
