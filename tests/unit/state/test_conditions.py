"""What is wrong with a session is a set of conditions with one owner each; clients are shown the worst, and told each once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import Conflict
from supervisor.lifecycle import conversation_conflict
from supervisor.state.conditions import OWNERS, Conditions
from supervisor.store.store import Store
from tests.harness import ROOT
from tests.unit.observation.claude_lab import Claude


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "pilotlight.db")
    yield Claude(tmp_path, store)
    store.close()


class AtWork:
    """The lifecycle of a session in the midst of a turn."""

    async def hibernate(self, cause: str) -> None:
        raise Conflict("It is at work.")


async def test_a_stuck_session_that_is_also_shared_is_still_stuck_when_the_stranger_has_gone(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, pids = claude.session, iter([4711, 4711, None])
    session.terminal = SimpleNamespace(screen_reading=session.screen_reading)  # type: ignore[assignment]
    monkeypatch.setattr(conversation_conflict, "other_process", lambda _: next(pids))
    session.health.begin("stuck")
    shown: list[str] = []
    for _ in range(3):
        await conversation_conflict.check(session, AtWork())  # type: ignore[arg-type]
        shown.append(session.health.worst)
    assert shown == ["conversation_shared", "conversation_shared", "stuck"]
    said = [event.kind for event in claude.store.events(0, 100, "s", None)]
    assert said.count("conversation_shared") == 1


def test_clients_are_shown_the_worst() -> None:
    health = Conditions()
    assert health.worst == "ok"
    for name in reversed(OWNERS):
        health.begin(name)
        assert health.worst == name
    for name in OWNERS:
        assert health.worst == name
        health.end(name)
    assert health.worst == "ok"
    with pytest.raises(KeyError):
        health.begin("unwell")


def _told(path: Path) -> Iterator[str]:
    """Each condition that a module begins or ends."""
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="begin" | "end", value=ast.Attribute(attr="health")), args=[given, *_]
            ):
                name: Any = given.value if isinstance(given, ast.Constant) else constants.get(ast.unparse(given))
                yield str(name)


def test_each_condition_is_begun_and_ended_by_its_owner_alone() -> None:
    found = {
        (name, str(path.relative_to(ROOT / "supervisor")))
        for path in (ROOT / "supervisor").rglob("*.py")
        for name in _told(path)
    }
    assert found == set(OWNERS.items())
