"""A house that tests share: who comes in finds it as new, and one that is not is torn down (tests/shared_houses.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import process
from tests.harness import until
from tests.shared_houses import SharedHouse, SharedHouses


@pytest.fixture
def houses() -> Iterator[SharedHouses]:
    houses = SharedHouses()
    yield houses
    houses.down()


def test_what_a_test_did_is_not_there_for_the_next_and_what_cannot_be_undone_ends_the_house(
    houses: SharedHouses, one_cli: Path
) -> None:
    def next_test(config: dict[str, Any] | None = None) -> SharedHouse:
        return houses.lend("a test", one_cli, config or {})

    first = next_test()
    warm, other = first.warm(), first.ask("echo: other", projectPath=str(first.folder / "project0"))[1]
    pids = {name: first.session(name)["pid"] for name in (warm, other)}
    first.send("[[gate held]] echo: held", other, wait=0)
    assert first.model.wait_for_gate("held", 30)
    (first.project / "made").touch()
    (first.folder / "beside").mkdir()
    first.call("settings.patch", {"values": {"sessions.max_concurrent": 3}})
    assert houses.take_back(first, failed=False) == []

    second = next_test()
    assert second is first
    assert [view["id"] for view in second.call("session.list")["sessions"]] == [warm]
    assert (process.identify(pids[other]), second.warm(), second.session(warm)["pid"]) == (None, warm, pids[warm])
    assert (list(second.project.iterdir()), (second.folder / "beside").exists()) == ([], False)
    assert second.call("settings.get")["changed"] == []
    assert (second.model.turns(), second.model.bodies(), second.model.gates(), second.events()) == ([], [], {}, [])
    second.call("session.keys", {"sessionId": warm, "text": "a draft"})
    until(lambda: second.session(warm)["draft"], "the draft is told")
    assert houses.take_back(second, failed=False) == []
    assert process.identify(pids[warm]) is None, "nobody is given a prompt box with something in it"

    third = next_test()
    fourth = next_test({"sessions": {"max_concurrent": 2}})
    assert fourth is not third
    assert houses.take_back(third, failed=True) == []
    assert not third.folder.exists()

    fourth.config["chat"] = {"mentions": "refuse"}
    assert houses.take_back(fourth, failed=False) == []
    assert not fourth.folder.exists(), "it is another configuration's"

    fifth = next_test()
    assert fifth is not third
    with open(fifth.folder / "supervisor.err", "a") as errors:
        errors.write("KeyError: 'what only a bug says'\n")
    assert "only a bug" in houses.take_back(fifth, failed=False)[0]
    assert not fifth.folder.exists()
