"""One house and one browser for each module: starting them takes longer than most of what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.lab import Desk, desk


@pytest.fixture(scope="module")
def shared_desk() -> Iterator[Desk]:
    """The house and the browser of this module."""
    with desk() as made:
        yield made


@pytest.fixture
def face(shared_desk: Desk) -> Iterator[Desk]:
    """The same, and whatever a page complained of during the test is a failure."""
    shared_desk.complaints.clear()
    yield shared_desk
    for context in shared_desk.browser.contexts:
        context.close()
    assert not shared_desk.complaints, shared_desk.complaints
