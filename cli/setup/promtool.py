"""Prometheus and its tool for the tests of the metrics and the alert rules: whichever there is, otherwise Debian's.

It is unpacked into the ignored folder of this checkout, not installed: the package would start a server on this machine.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cli.setup.bootstrap import ROOT
from cli.setup.progress import StepFailed, run_step

VARIABLE = "PILOTLIGHT_TEST_PROMTOOL"
_FOLDER = ROOT / ".state" / "promtool"
_PROGRAMS = _FOLDER / "usr" / "bin"


def find(program: str = "promtool") -> str | None:
    """Where it is, or None; the variable names any other promtool, and the server beside it."""
    if named := os.environ.get(VARIABLE):
        return named if program == "promtool" else str(Path(named).with_name(program))
    unpacked = _PROGRAMS / program
    return shutil.which(program) or (str(unpacked) if unpacked.is_file() else None)


def ensure(log: Path) -> None:
    """Unpack it when it is missing. Raise StepFailed with what to do."""
    if find("promtool") and find("prometheus"):
        return
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or dpkg is None:
        raise StepFailed(
            f"The tests of the alert rules need Prometheus: install it, or name its promtool in {VARIABLE}."
        )
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    fix = f"Without a network, or with old package lists: install Prometheus, or name a promtool in {VARIABLE}."
    if os.geteuid() == 0:
        run_step("Reading the list of packages", [apt, "update"], log, fix=fix)
    fetch = [
        "sh",
        "-c",
        'cd "$1" && "$2" download prometheus && "$3" -x prometheus_*.deb .',
        "sh",
        str(_FOLDER),
        apt,
        dpkg,
    ]
    run_step("Fetching promtool", fetch, log, fix=fix)
    for package in _FOLDER.glob("*.deb"):
        package.unlink()
