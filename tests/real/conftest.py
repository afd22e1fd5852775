"""Fixtures of the tests with the real CLI: most of them live in a house that others lived in before (tests/shared_houses.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FAILED, HOUSES, MakeHouse
from tests.harness import House
from tests.shared_houses import SharedHouse, SharedHouses

LendHouse = Callable[..., SharedHouse]


@pytest.fixture(scope="session")
def shared_houses() -> Iterator[SharedHouses]:
    """Of this worker."""
    houses = SharedHouses()
    yield houses
    houses.down()


@pytest.fixture
def lend_house(request: pytest.FixtureRequest, shared_houses: SharedHouses) -> Iterator[LendHouse]:
    """Running houses that are as new, with a configuration of their own if need be, until the test ends."""
    lent: list[SharedHouse] = []
    known = request.node.stash.setdefault(HOUSES, [])

    def lend(claude: Path, /, **config: Any) -> SharedHouse:
        house = shared_houses.lend(request.node.nodeid, claude, config)
        lent.append(house)
        known.append(house)
        return house

    yield lend
    failed = request.node.stash.get(FAILED, False)
    found = [one for house in lent for one in shared_houses.take_back(house, failed)]
    assert not found, found


@pytest.fixture
def house(lend_house: LendHouse, cli: Path) -> SharedHouse:
    """A running supervisor with a real CLI of each release, which is as new."""
    return lend_house(cli)


@pytest.fixture
def warm(house: SharedHouse) -> str:
    """A session of the house that is idle and has been talked to, maybe by other tests, of which nothing is to be seen."""
    return house.warm()


@pytest.fixture
def own_house(make_house: MakeHouse, cli: Path) -> House:
    """One that is new."""
    made = make_house(cli)
    made.start_supervisor()
    return made
