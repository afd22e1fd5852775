"""The pages for people who write clients name everything that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.terminals import messages
from supervisor.bus.operations.history import TalkOps
from supervisor.bus.operations.notifications import NotificationOps
from supervisor.bus.operations.table import Ops
from supervisor.bus.operations.terminal import TerminalOps
from supervisor.lifecycle.conversation_conflict import SHARED
from supervisor.notifications import feed
from tests.harness import ROOT

NAMED_ELSEWHERE = {
    "viewers/audience.py": {"attached", "detached"},
    "pool/health.py": {"run_dir_renewed", "bus_rebound", "viewers_rebound", "lock_renewed"},
    "notifications/feed.py": {feed.FAILED},
    "notifications/service.py": {feed.FAILED},
    "lifecycle/conversation_conflict.py": {SHARED},
}
"""Kinds that do not stand where they are appended."""


def first_column(page: str, heading: str) -> set[str]:
    """The names in the first column of the table under this head."""
    text = (ROOT / "docs" / page).read_text()
    rows = text[text.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}


def appended() -> Iterator[tuple[str, ast.expr]]:
    """(file, first argument) of every entry into the journal."""
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                owner = node.func.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name.strip("_") == "store":
                    yield str(path.relative_to(ROOT / "supervisor")), node.args[0]


def test_every_kind_of_event_is_told(tmp_path: Path) -> None:
    kinds, indirect = {"tick"}, set()
    for file, kind in appended():
        if isinstance(kind, ast.Constant):
            kinds.add(kind.value)
        else:
            indirect.add(file)
    assert indirect == set(NAMED_ELSEWHERE)
    for file, names in NAMED_ELSEWHERE.items():
        source = (ROOT / "supervisor" / file).read_text() + (ROOT / "supervisor" / "daemon.py").read_text()
        assert all(f'"{name}"' in source for name in names), file
        kinds |= names
    assert len(kinds) > 30
    assert first_column("bus.md", "kind") == kinds


def test_every_chore_that_is_told_of_is_an_event() -> None:
    source = (ROOT / "supervisor" / "daemon.py").read_text()
    chores = set(re.findall(r'\("(\w+)", [\w.]*heal\)', source))
    assert chores == NAMED_ELSEWHERE["pool/health.py"]


def test_every_operation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = SimpleNamespace(home=tmp_path)
    pool: Any = SimpleNamespace(store=None, house=SimpleNamespace(paths=paths, claude_home=tmp_path))
    anything: Any = None
    ops = Ops(pool, dict, anything, anything, anything, anything)
    talk = TalkOps(pool, ops)
    TerminalOps(pool, ops, anything)
    NotificationOps(anything, ops, anything)
    talk._index.close()
    assert first_column("bus.md", "op") == set(ops._table)


def test_every_word_of_the_terminal_is_told() -> None:
    def tags(words: tuple[type[messages.TerminalMessage], ...]) -> set[Any]:
        return {word.__struct_config__.tag for word in words}

    text = (ROOT / "docs" / "terminal.md").read_text()
    assert first_column("terminal.md", "type") == tags(messages.RECEIVED)
    assert set(re.findall(r'\| .*"type": "(\w+)"', text)) == tags(messages.SENT)
    assert all(str(code) in text for code in messages.CLOSES)
