"""The browsers of the browser tests: Chromium without a window, and the whole one where a notification is shown.

The headless shell takes a third of the processor time of the whole browser, which draws all the time what nobody sees, and
shows no notifications. Debian's are installed where we may; otherwise whichever there is will do.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cli.setup.progress import StepFailed, run_step

VARIABLE = "PILOTLIGHT_TEST_CHROMIUM"
SHELL = "chromium-headless-shell"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find(whole: bool = False) -> str | None:
    """Where it is, or None; the variable names any other."""
    names = NAMES if whole else (SHELL, *NAMES)
    return os.environ.get(VARIABLE) or next((found for name in names if (found := shutil.which(name))), None)


def ensure(log: Path) -> None:
    """Install what is missing where apt-get may. Raise StepFailed with what to do when there is no whole one."""
    missing = [] if find(whole=True) else [NAMES[0]]
    if not missing and (os.environ.get(VARIABLE) or shutil.which(SHELL)):
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        if missing:
            raise StepFailed(
                f"The browser tests need Chromium: `apt-get install chromium` as root, or name one in {VARIABLE}."
            )
        return
    fix = f"Without a network: name a Chromium in {VARIABLE}."
    install = [apt, "install", "-y", "--no-install-recommends"]
    try:
        run_step("Reading the list of packages", [apt, "update"], log, fix=fix)
        if missing:
            run_step("Installing Chromium", [*install, *missing], log, fix=fix)
            missing = []
        run_step("Installing Chromium's headless shell", [*install, SHELL], log, fix=fix)
    except StepFailed:
        if missing:
            raise
