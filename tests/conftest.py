"""Fixtures of the whole suite."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import HealthCheck, settings

from demo.server import DemoModel
from tests.account import account
from tests.harness import THOROUGH, VERSIONS, House, claude_binary, releases
from tests.shared_houses import SharedHouse, SharedHouses

# What holds for every input does not hang on how fast this machine is now, and one run tries what the next one tries.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not THOROUGH
)
settings.load_profile("suite")


def _end_at_once(context: zmq.Context) -> None:  # type: ignore[type-arg]
    """A context that a failed fixture left behind, with a request nobody takes: its end would wait for that for ever, below
    Python, where no timeout reaches, and the whole run with it."""
    if not context.closed:
        context.destroy(linger=0)


zmq.Context.__del__ = _end_at_once  # type: ignore[method-assign]

ON_EACH = frozenset(
    {
        "test_conversation",
        "test_exactness",
        "test_dialogs",
        "test_mentions",
        "test_modes",
        "test_moves",
        "test_permissions",
        "test_persons_hooks",
        "test_protection",
        "test_scheduled",
        "test_set_up",
    }
)
"""Modules whose tests ask what differs between releases: on each of them, always. The others take turns, and so do those
that are marked `turns`."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Each worker makes all tests of the suite, and none of them is garbage until its end: to look for some while they are made
    takes a quarter of that time, and to look through them again in each test some of every test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which releases `cli` is."""
    if "cli" in metafunc.fixturenames:
        each = metafunc.module.__name__.rpartition(".")[2] in ON_EACH
        each = each and metafunc.definition.get_closest_marker("turns") is None
        metafunc.parametrize("cli", VERSIONS if each else releases(metafunc.function.__name__), indirect=True)


@pytest.fixture
def cli(request: pytest.FixtureRequest) -> Path:
    """A pinned release of the real CLI. It is never skipped: a missing one is a failure."""
    binary = claude_binary(request.param)
    assert binary.exists(), f"{binary} is missing; ./test installs it"
    return binary


@pytest.fixture
def one_cli() -> Path:
    """One release, for what does not depend on the CLI."""
    return claude_binary(VERSIONS[-1])


@pytest.fixture
def model() -> Iterator[DemoModel]:
    """The scripted model."""
    server = DemoModel(port=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Instead of pytest's: a folder whose name is short enough for sockets, so that the run directory of a home in it is
    in it too, and which is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="pl-")).resolve()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The house's own name for it."""
    return tmp_path


MakeHouse = Callable[..., House]
LendHouse = Callable[..., SharedHouse]
HOUSES = pytest.StashKey[list[House]]()
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure, how its houses looked at that moment."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    if report.when == "call" and report.failed:
        report.sections += [(f"house {house.folder.name}", account(house)) for house in item.stash.get(HOUSES, [])]
    return report


@pytest.fixture
def make_house(request: pytest.FixtureRequest, folder: Path, model: DemoModel) -> Iterator[MakeHouse]:
    """Houses that are checked for leftovers when the test ends."""
    made: list[House] = []
    known = request.node.stash.setdefault(HOUSES, [])

    def make(claude: Path | str, onboarded: bool = True, name: str = "") -> House:
        place = folder / name if name else folder
        place.mkdir(parents=True, exist_ok=True)
        house = House(place, model, claude, onboarded)
        made.append(house)
        known.append(house)
        return house

    yield make
    leftovers = [item for house in made for item in house.down()]
    assert not leftovers, leftovers


@pytest.fixture
def house(make_house: MakeHouse, cli: Path) -> House:
    """A running supervisor with a real CLI of each release."""
    made = make_house(cli)
    made.start_supervisor()
    return made


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
