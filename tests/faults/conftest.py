"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api_process import BusServer, Process, until
from tests.conftest import LendHouse
from tests.faults.abuse_lab import SESSION
from tests.faults.holder_lab import Lab
from tests.faults.stand_in import Fake, program
from tests.shared_houses import SharedHouse


@pytest.fixture
def house(lend_house: LendHouse, cli: Path) -> SharedHouse:
    """A running supervisor with a real CLI of each release, as new and without a session: what was done to those of a test goes
    with them, and a supervisor that was started again is as good as another."""
    lent = lend_house(cli)
    lent.alone()
    return lent


@pytest.fixture
def quick(lend_house: LendHouse, one_cli: Path) -> SharedHouse:
    """The same, and its health pass runs all the time."""
    lent = lend_house(one_cli, health={"interval_seconds": 0.3})
    lent.alone()
    return lent


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of every house of the stand-in."""
    return program(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture
def fake(lend_house: LendHouse, stand_in: Path) -> Callable[..., Fake]:
    """Running houses of the stand-in, which behaves as asked."""

    def make(**script: Any) -> Fake:
        made = Fake(lend_house(stand_in))
        made.behave(**script)
        return made

    return make


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Real holders, none of which outlives its test."""
    async with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an API that is asked badly, by as many as there are."""
    home = tmp_path_factory.mktemp("h")
    (home / "config.yaml").write_text("api: {threads: 16, rate_per_minute: 0}\n")
    return home


@pytest.fixture(scope="module")
def bus(home: Path) -> Iterator[BusServer]:
    """Its supervisor's double."""
    server = BusServer(home)
    server.supervisor.add_session(id=SESSION)
    yield server
    server.close()


@pytest.fixture(scope="module")
def api(home: Path, bus: BusServer) -> Iterator[Process]:
    """The process."""
    process = Process(home, log=home / "api.log").wait_until_up()
    until(lambda: process.ask("GET", "/health")[0] == 200, "the API does not reach its supervisor")
    yield process
    process.end()


@pytest.fixture
def nothing_was_sent(bus: BusServer) -> Iterator[None]:
    """No abuse may create a message or a session."""
    before = (len(bus.supervisor.messages), len(bus.supervisor.sessions))
    yield
    assert (len(bus.supervisor.messages), len(bus.supervisor.sessions)) == before
