"""Fixtures of the tests with the real CLI: most of them live in a house that others lived in before (tests/shared_houses.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import LendHouse, MakeHouse
from tests.harness import House
from tests.shared_houses import SharedHouse


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
