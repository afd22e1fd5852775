"""What each room says of itself in its `__init__.py` is true: the map, the arrows, the tests it names.

Also the size of rooms and files, of the whole product and its tests. `test_arrows.py` holds the imports themselves.
"""

from __future__ import annotations

import ast
import re

import pytest

from tests.harness import ROOT
from tests.unit.test_arrows import MAY, PACKAGES
from tests.unit.test_arrows import ROOMS as ARROWS

MOST_FILES = 20
MOST_LINES = 400
REASON = re.compile(r"over 400 lines:", re.IGNORECASE)
"""What a long file is, when its docstring says why it is long."""


FOLDERS = sorted(
    {str(path.parent.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
)
"""Every folder with code in it: packages, rooms, and the rooms of a room."""

INNER = [folder for folder in FOLDERS if folder.count("/") > 1]
"""The rooms of a room: what they may import and what they promise, the room says."""

PROMISING = [folder for folder in FOLDERS if folder.count("/") == 1 or folder == "demo"]


def said(folder: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""


def allowed(folder: str) -> set[str]:
    package, _, name = folder.partition("/")
    return set(ARROWS.get(package, {}).get(name, "").split()) if name else MAY[package]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map_of_a_room_is_its_folder(folder: str) -> None:
    room = ROOT / folder
    listed = set(re.findall(r"^(\w+/?)  +\S", said(folder), re.MULTILINE))
    files = {path.stem for path in room.glob("*.py")} - {"__init__"}
    assert listed == files | {f"{path.parent.name}/" for path in room.glob("*/__init__.py")}
    assert len(said(folder).splitlines()) <= 40


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in INNER])
def test_a_room_says_what_it_may_import(folder: str) -> None:
    found = re.search(r"^May import: (.*?)\.$", said(folder), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert set(re.findall(r"\w+", found[1])) - {"nothing"} == allowed(folder)


@pytest.mark.parametrize("folder", PROMISING)
def test_what_a_room_promises_has_a_test(folder: str) -> None:
    promises = re.findall(r"^(\d+)\. (.*?)\((tests/[\w/.]+\.py)\)$", said(folder), re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _, _ in promises] == list(range(1, len(promises) + 1))
    assert promises
    assert [path for _, _, path in promises if not (ROOT / path).is_file()] == []


def test_no_room_is_a_corridor() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    sizes = {str(room.relative_to(ROOT)): len(set(room.glob("*.py")) - {room / "__init__.py"}) for room in folders}
    assert {room: size for room, size in sizes.items() if size > MOST_FILES} == {}


def test_a_long_file_says_why() -> None:
    files = [path for package in (*PACKAGES, "tests") for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(files) > len(FOLDERS)
    long = [path for path in files if len(path.read_text().splitlines()) > MOST_LINES]
    told = {path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in long}
    assert [str(path.relative_to(ROOT)) for path, said_there in told.items() if not REASON.search(said_there)] == []
