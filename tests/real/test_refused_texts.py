"""A text that is refused creates nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from shared.errors import InvalidRequest, PilotlightError
from tests.harness import House


@pytest.mark.parametrize(
    "text", ["/help", "exit", "a\x1b[A", "a\u200bb", "e\u0301", "<pasted_content>", " ", "x" * 100_001]
)
def test_a_refused_text_creates_nothing(one_house: House, text: str) -> None:
    with pytest.raises(PilotlightError) as caught:
        one_house.send(text, exact=True)
    assert caught.value.status == (413 if len(text) > 100_000 else 400)
    assert one_house.call("session.list", {"includeEnded": True})["sessions"] == []
    assert not [event for event in one_house.events() if event["kind"] in ("created", "message", "state")]


@pytest.mark.parametrize("text", ["ex\u200bit", "\x1b/help", "x <pasted\xad_content>", "\ufeff"])
def test_a_text_that_means_something_else_without_the_invisible_creates_nothing(one_house: House, text: str) -> None:
    with pytest.raises(InvalidRequest):
        one_house.send(text)
    assert one_house.call("session.list", {"includeEnded": True})["sessions"] == []


@pytest.fixture(scope="module")
def one_house(tmp_path_factory: pytest.TempPathFactory) -> Iterable[House]:
    """A supervisor that never starts a CLI."""
    import shutil
    import tempfile

    from demo.server import DemoModel
    from tests.harness import VERSIONS, claude_binary

    folder = Path(tempfile.mkdtemp(prefix="pl-"))
    with DemoModel() as model:
        house = House(folder, model, claude_binary(VERSIONS[-1]))
        house.start_supervisor()
        yield house
        leftovers = house.down()
    shutil.rmtree(folder, ignore_errors=True)
    assert not leftovers, leftovers
