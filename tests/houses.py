"""Houses that are no fixture of one test: several tests live in one, or none of pytest does."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.home import demo_environment
from demo.server import DemoModel
from tests.harness import House


@contextmanager
def house_of(claude: Path, env: dict[str, str] | None = None, **config: Any) -> Iterator[House]:
    """A house with a model of its own, and nothing of it afterwards; `env`: of its CLI, beside what it has."""
    folder = Path(tempfile.mkdtemp(prefix="pl-")).resolve()
    model = DemoModel(port=0)
    model.start()
    house = House(folder, model, claude)
    house.config |= config
    house.config["claude"]["env"] |= env or {}
    try:
        yield house
    finally:
        leftovers = house.down()
        model.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert not leftovers, leftovers


@contextmanager
def lasting_house(
    claude: Path, env: dict[str, str] | None = None, demo: bool = False, **config: Any
) -> Iterator[House]:
    """A house with supervisor and API for several tests: starting one takes longer than most of what is asked of it. An API of it
    that is started again is where the one before was. With `demo` it knows that it is one, as after `up --demo`."""
    with house_of(claude, env, **config) as house:
        if demo:
            house.extra_env = {"PILOTLIGHT_DEMO": json.dumps(demo_environment(house.claude_home, house.model.url))}
        house.start_supervisor()
        house.start_api()
        address = house.api_address()
        assert address is not None
        house.config["api"]["port"] = address[1]
        yield house
