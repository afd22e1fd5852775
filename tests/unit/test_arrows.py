"""Which room may import which: read from every import, also those inside functions and under `TYPE_CHECKING`.

`docs/architecture.md` draws the same arrows. The tables have no exceptions but one: the command line may start the demo.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.harness import ROOT

PACKAGES = ("pilotlight", "supervisor", "api", "cli", "shared", "demo")
MAY = {
    "pilotlight": set(),
    "supervisor": {"shared"},
    "api": {"shared"},
    "cli": {"shared", "demo", "pilotlight"},
    "demo": {"shared"},
    "shared": set(),
}
"""Which top-level package may import which other one."""

SUPERVISOR = {
    "archive": "",
    "clock": "",
    "failpoints": "",
    "instance": "",
    "holder": "",
    "claude": "",
    "terminal": "claude holder",
    "store": "clock",
    "history": "claude store",
    "state": "store",
    "turn": "claude store",
    "waiting": "claude store clock",
    "session": "state turn waiting terminal store claude clock failpoints",
    "observation": "session state turn waiting store claude",
    "lifecycle": "observation session state terminal holder store claude failpoints",
    "delivery": "lifecycle session state turn waiting terminal store claude failpoints",
    "pool": "delivery lifecycle observation session state history terminal holder store claude clock",
    "moving": "pool lifecycle session state store claude archive clock failpoints",
    "viewers": "pool delivery session state terminal store",
    "notifications": "store",
    "settings": "store",
    "bus": "moving viewers notifications pool delivery lifecycle session state history terminal holder store claude settings",
    "daemon": "bus moving viewers notifications pool session store claude settings instance",
    "backup": "store session claude archive instance",
    "__main__": "daemon backup",
}
API = {
    "context": "inbox",
    "inbox": "",
    "bus": "",
    "http": "context",
    "auth": "http context",
    "events": "http context inbox",
    "terminals": "",
    "routes": "http auth events terminals context inbox",
    "reference": "routes terminals auth http",
    "web": "http auth",
    "gateway": "reference routes auth http events context inbox",
    "server": "http context",
    "app": "reference routes web auth http events context inbox",
    "__main__": "app server bus gateway",
}
CLI = {
    "owners": "",
    "wording": "",
    "output": "wording",
    "context": "owners",
    "follow": "context",
    "completion": "context output",
    "setup": "",
    "terminal": "completion context output",
    "access": "owners context output terminal",
    "daemons": "setup owners context output",
    "chat": "context output wording",
    "mcp": "",
    "commands": "chat access daemons mcp setup terminal completion follow owners context output wording",
    "__main__": "commands access setup terminal completion context output",
    "first_run": "__main__ daemons setup owners context output",
}
SHARED = {
    "errors": "",
    "claude_names": "",
    "foreign_file": "",
    "frames": "",
    "instance": "",
    "plain_text": "",
    "process": "",
    "readiness": "",
    "releases": "",
    "private_folders": "errors",
    "paths": "private_folders",
    "access": "errors foreign_file paths",
    "bus": "access errors frames private_folders",
    "config": "bus errors foreign_file",
    "logs": "config",
    "node": "errors foreign_file",
    "asciicast": "foreign_file",
    "database": "foreign_file",
    "certificate": "config errors foreign_file",
}
ROOMS = {"supervisor": SUPERVISOR, "api": API, "cli": CLI, "shared": SHARED}
OWNERS = {
    "sqlite3": {"supervisor/store"},
    "zmq": {"supervisor/bus", "shared/bus"},
    "pexpect": {"supervisor/holder"},
    "pyghostty": {"supervisor/terminal"},
    "flask": {"api"},
    "gunicorn": {"api/server"},
    "click": {"cli"},
    "mcp": {"cli/mcp"},
    "uvicorn": {"cli/mcp"},
    "prompt_toolkit": {"cli/chat"},
    "psutil": {"supervisor/pool", "cli/daemons"},
}
"""The one place of each library."""

HOLDER = {"pexpect", "shared.process", "shared.frames", "supervisor.holder"}
"""What the holder may import besides the standard library: it lives for days in under 10 MB."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the product, as its path below the root."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


@cache
def imports() -> dict[Path, tuple[str, ...]]:
    """What each module of the product imports; they are read once."""
    return {path: tuple(imported(tree)) for path, tree in modules()}


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted name of each thing that is imported anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(package: str, name: str) -> str:
    """The room of a dotted name: its second part, when that is a folder or a file of the package."""
    parts = name.split(".")
    inside = ROOT / package / parts[1] if len(parts) > 1 else None
    return parts[1] if inside is not None and (inside.is_dir() or inside.with_suffix(".py").is_file()) else ""


def broken(path: Path, name: str) -> bool:
    """Whether the module at `path` may not import `name`."""
    package, top = path.parts[0], name.split(".")[0]
    place = "/".join(path.parts[:2])
    if top in OWNERS:
        return not any(place == owner or package == owner for owner in OWNERS[top])
    if place == "supervisor/holder" and top not in sys.stdlib_module_names:
        return not any(name == allowed or name.startswith(f"{allowed}.") for allowed in HOLDER)
    if top not in PACKAGES:
        return False
    if top != package:
        return top not in MAY[package]
    if package not in ROOMS or not (theirs := room(package, name)):
        return False
    own = path.parts[1].removesuffix(".py")
    return own not in ("__init__", theirs) and theirs not in ROOMS[package].get(own, "").split()


def test_every_import_follows_an_arrow() -> None:
    wrong = [f"{path} -> {name}" for path, names in imports().items() for name in names if broken(path, name)]
    assert not wrong, "\n".join(wrong)


HIDDEN = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from supervisor.pool.pool import Pool
def later():
    import sqlite3
    from api import app
"""


def test_an_import_is_read_wherever_it_stands() -> None:
    found = [name for name in imported(ast.parse(HIDDEN)) if broken(Path("supervisor/session/session.py"), name)]
    assert found == ["supervisor.pool.pool.Pool", "sqlite3", "api.app"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("supervisor/turn/turn.py", "supervisor.session.session.Session"),
        ("supervisor/holder/loop.py", "shared.config"),
        ("supervisor/holder/loop.py", "msgspec"),
        ("api/routes/chat.py", "supervisor.claude.transcript"),
        ("api/routes/chat.py", "gunicorn"),
        ("cli/setup/claude.py", "cli.commands.up"),
        ("shared/frames.py", "shared.errors"),
        ("pilotlight/client/transport.py", "shared.errors"),
    ],
)
def test_an_arrow_that_is_not_drawn_is_refused(path: str, name: str) -> None:
    assert broken(Path(path), name)


def test_every_room_is_on_the_plan() -> None:
    for package, plan in ROOMS.items():
        found = {
            path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
        }
        assert found - {"__init__"} <= set(plan), package


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One way round for each circle that a walk in depth first finds."""
    found: list[list[str]] = []
    state: dict[str, int] = {}

    def walk(node: str, trail: list[str]) -> None:
        state[node] = 1
        for following in sorted(graph.get(node, ())):
            if state.get(following) == 1:
                found.append([*trail[trail.index(following) :], following])
            elif following not in state:
                walk(following, [*trail, following])
        state[node] = 2

    for node in sorted(graph):
        if node not in state:
            walk(node, [node])
    return found


def test_no_imports_go_round_in_a_circle() -> None:
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): found for path, found in imports().items()}

    def module_of(name: str) -> str | None:
        return name if name in names else name.rpartition(".")[0] if name.rpartition(".")[0] in names else None

    graph = {
        name: {found for one in taken if (found := module_of(one)) and found != name} for name, taken in names.items()
    }
    assert not circles(graph)


def test_no_rooms_go_round_in_a_circle() -> None:
    for plan in ROOMS.values():
        assert not circles({room: set(may.split()) for room, may in plan.items()})


def test_no_arrow_is_drawn_that_no_import_takes() -> None:
    """What nobody imports any more is not allowed any more, or the plan says less than the code does."""
    taken = {
        (path.parts[0], path.parts[1].removesuffix(".py"), room(path.parts[0], name))
        for path, names in imports().items()
        for name in names
        if path.parts[0] == name.split(".")[0]
    }
    drawn = {
        (package, own, may) for package, plan in ROOMS.items() for own, all_ in plan.items() for may in all_.split()
    }
    assert sorted(drawn - taken) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
