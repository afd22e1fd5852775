"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeHouse
from tests.faults.stand_in import Fake


@pytest.fixture
def fake(make_house: MakeHouse, one_cli: Path) -> Callable[..., Fake]:
    """Running houses of the stand-in, which behaves as asked."""

    def make(**script: Any) -> Fake:
        made = Fake(make_house(one_cli))
        made.behave(**script)
        made.house.start_supervisor()
        return made

    return make
