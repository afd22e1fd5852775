"""axe-core for the browser tests: one pinned release, from npm, in the ignored folder of this checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from cli.setup.bootstrap import ROOT
from cli.setup.progress import StepFailed, run_step

RELEASE = "4.14.1"
_FOLDER = ROOT / ".state" / "axe" / RELEASE
SCRIPT = _FOLDER / "node_modules" / "axe-core" / "axe.min.js"


def ensure(log: Path) -> None:
    """Install it when it is missing. Raise StepFailed with what to do."""
    if SCRIPT.is_file():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise StepFailed("The browser tests need npm: it brings axe-core.")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--silent", "--no-save", "--prefix", str(_FOLDER), f"axe-core@{RELEASE}"]
    run_step("Installing axe-core", command, log, fix="Is the npm registry within reach?")
