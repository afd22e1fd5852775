"""The browser of the browser tests: whichever Chromium there is, otherwise Debian's, installed where we may."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cli.setup.progress import StepFailed, run_step

VARIABLE = "PILOTLIGHT_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """Where it is, or None; the variable names any other."""
    return os.environ.get(VARIABLE) or next((found for name in NAMES if (found := shutil.which(name))), None)


def ensure(log: Path) -> None:
    """Install it when it is missing and apt-get may. Raise StepFailed with what to do."""
    if find() is not None:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise StepFailed(
            f"The browser tests need Chromium: `apt-get install chromium` as root, or name one in {VARIABLE}."
        )
    fix = f"Without a network: name a Chromium in {VARIABLE}."
    run_step("Reading the list of packages", [apt, "update"], log, fix=fix)
    run_step("Installing Chromium", [apt, "install", "-y", "--no-install-recommends", "chromium"], log, fix=fix)
