"""What each room of the supervisor says of itself in its `__init__.py` is true: the map, the arrows, the tests it names.

Also the size of rooms and files, of the whole product and its tests. `test_arrows.py` holds the imports themselves.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.unit.test_arrows import PACKAGES, SUPERVISOR, modules

MOST_FILES = 20
MOST_LINES = 400
REASON = re.compile(
    r"over 400 lines:|in a sentence|one answer of each",
    re.IGNORECASE,
)
"""What a long file is, when its docstring says why it is long."""


ROOMS = sorted(path.parent.name for path in (ROOT / "supervisor").glob("*/__init__.py"))


def said(room: Path) -> str:
    return ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""


@pytest.mark.parametrize("name", ROOMS)
def test_the_map_of_a_room_is_its_folder(name: str) -> None:
    room = ROOT / "supervisor" / name
    listed = set(re.findall(r"^(\w+/?)  +\S", said(room), re.MULTILINE))
    files = {path.stem for path in room.glob("*.py")} - {"__init__"}
    assert listed == files | {f"{path.parent.name}/" for path in room.glob("*/__init__.py")}
    assert len(said(room).splitlines()) <= 40


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_it_may_import(name: str) -> None:
    found = re.search(r"^May import: (.*?)\.$", said(ROOT / "supervisor" / name), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert set(re.findall(r"\w+", found[1])) - {"nothing"} == set(SUPERVISOR[name].split())


@pytest.mark.parametrize("name", ROOMS)
def test_what_a_room_promises_has_a_test(name: str) -> None:
    text = said(ROOT / "supervisor" / name)
    promises = re.findall(r"^(\d+)\. (.*?)\((tests/[\w/.]+\.py)\)$", text, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _, _ in promises] == list(range(1, len(promises) + 1))
    assert promises
    assert [path for _, _, path in promises if not (ROOT / path).is_file()] == []


def test_no_room_is_a_corridor() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    sizes = {str(room.relative_to(ROOT)): len(set(room.glob("*.py")) - {room / "__init__.py"}) for room in folders}
    assert {room: size for room, size in sizes.items() if size > MOST_FILES} == {}


def test_a_long_file_says_why() -> None:
    tests = [(path.relative_to(ROOT), ast.parse(path.read_text())) for path in sorted((ROOT / "tests").rglob("*.py"))]
    long = [
        str(path)
        for path, tree in (*modules(), *tests)
        if len((ROOT / path).read_text().splitlines()) > MOST_LINES and not REASON.search(ast.get_docstring(tree) or "")
    ]
    assert long == []
