"""The generators of TypeScript clients that the tests run: from npm, by the lock in `tests/clients`, in an ignored folder.

The one for Python is a library of the tests.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from cli.setup.bootstrap import ROOT
from cli.setup.progress import StepFailed, run_step

SOURCES = ROOT / "tests" / "clients"
_NAMES = ("package.json", "package-lock.json")


def folder() -> Path:
    """Where they are, for this lock."""
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in _NAMES)).hexdigest()
    return ROOT / ".state" / "generators" / digest[:16]


def ensure(log: Path) -> None:
    """Install them when they are missing. Raise StepFailed with what to do."""
    where = folder()
    if (where / "installed").is_file():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise StepFailed("The tests of generated clients need npm (and Node 20.19 or newer).")
    where.mkdir(parents=True, exist_ok=True)
    for name in _NAMES:
        shutil.copy(SOURCES / name, where / name)
    command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(where)]
    run_step("Installing the generators of clients", command, log, fix="Is the npm registry within reach?")
    (where / "installed").touch()
