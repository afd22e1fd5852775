"""One house for all clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import House, claude_binary, releases
from tests.houses import lasting_house


@pytest.fixture(scope="package")
def served() -> Iterator[House]:
    """A house with its API, which is on the same port when it is started again."""
    with lasting_house(claude_binary(releases("python client")[0])) as house:
        yield house
