"""What a wheel and an sdist hold: everything that runs, and nothing of the workshop."""

from __future__ import annotations

import ast
import re
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.distribution import PACKAGES, build
from tests.harness import ROOT

ABOUT = {"README.md", "setup.cfg", "pyproject.toml", "PKG-INFO", "MANIFEST.in", "LICENSE"}
UNSEEN = {"pyyaml": "msgspec.yaml reads with it"}
"""What is needed without being imported by name, and why."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("build"))


def shipped() -> set[str]:
    """Every file of the packages as it lies in the tree."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}


def test_a_wheel_holds_every_file_of_the_packages_and_no_other(built: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(built[0]).namelist()
    assert {name for name in names if not name.startswith("pilotlight-")} == shipped()


def test_an_sdist_holds_the_packages_and_what_builds_them(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in names if not name.startswith("pilotlight.egg-info/")} == shipped() | ABOUT


def imported() -> Iterator[str]:
    """The top-level modules that the packages import, wherever in a file they do."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


def test_every_requirement_is_used_and_nothing_but_the_command_imports_the_demo(built: tuple[Path, Path]) -> None:
    archive = zipfile.ZipFile(built[0])
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    lines = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)$", archive.read(metadata).decode(), re.MULTILINE)
    wanted = {canonical(name) for name, condition in lines if "extra ==" not in condition}
    owners = packages_distributions()
    used = {canonical(owner) for module in set(imported()) for owner in owners.get(module, [])}
    assert len(wanted) > 5
    assert wanted - used == set(UNSEEN)
    for package in ("supervisor", "api", "shared"):
        for path in (ROOT / package).rglob("*.py"):
            assert not re.search(r"^\s*(from|import) (demo|bench|tests)\b", path.read_text(), re.MULTILINE), path


def canonical(name: str) -> str:
    """A distribution's name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()
