"""A session is a leaf: it knows nobody who watches it or acts for it."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.harness import ROOT


def _imports(path: Path) -> set[str]:
    """The modules of ours that a module imports anywhere, also for its types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _file(name).is_file() else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if _file(name).is_file()}


def _file(name: str) -> Path:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


def _reached(name: str) -> set[str]:
    """All that a module imports, and they in turn."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        new = _imports(_file(ahead.pop())) - found
        found |= new
        ahead += new
    return found


def test_no_module_of_the_room_is_reached_from_what_it_imports() -> None:
    room = [f"supervisor.session.{path.stem}" for path in (ROOT / "supervisor/session").glob("[a-z]*.py")]
    assert "supervisor.session.session" in room
    assert [name for name in room if name in _reached(name)] == []


def test_a_session_reaches_none_of_those_who_watch_it() -> None:
    watching = {f"supervisor.session.{name}" for name in ("log_reader", "observer", "receipts")}
    assert _reached("supervisor.session.session") & watching == set()
