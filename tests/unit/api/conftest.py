"""An application with the supervisor's double behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api_caller import Caller
from tests.api_double import FakeSupervisor


@pytest.fixture
def supervisor() -> FakeSupervisor:
    return FakeSupervisor()


@pytest.fixture
def ask(tmp_path: Path, supervisor: FakeSupervisor) -> Caller:
    return Caller(tmp_path, supervisor)
