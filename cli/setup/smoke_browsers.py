"""Firefox and WebKit for the smoke run of the dashboard: whichever there are, otherwise Debian's, installed where we may.

WebKit is the nearest to a phone's Safari that can be had: WebKitGTK's small browser, driven by its own driver, on a display that
nobody sees. Whoever cannot have one of them names the others in the variable: then it is left out because somebody has said so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cli.setup.progress import StepFailed, run_step

VARIABLE = "PILOTLIGHT_TEST_BROWSERS"
PROGRAMS = {"firefox": ("firefox-esr", "firefox"), "webkit": ("WebKitWebDriver",)}
DISPLAY = "Xvfb"
PACKAGES = {"firefox": ("firefox-esr",), "webkit": ("webkit2gtk-driver", "xvfb")}


def chosen() -> tuple[str, ...]:
    """Those that are to be tested: both, unless the variable names fewer."""
    named = os.environ.get(VARIABLE)
    return tuple(PROGRAMS) if named is None else tuple(name for name in PROGRAMS if name in named.split(","))


def find(name: str) -> str | None:
    """The program that is started for it, or None when something of it is missing."""
    if name == "webkit" and shutil.which(DISPLAY) is None:
        return None
    return next((found for program in PROGRAMS[name] if (found := shutil.which(program))), None)


def ensure(log: Path) -> None:
    """Install what is missing, when apt-get may. Raise StepFailed with what to do."""
    missing = [package for name in chosen() if find(name) is None for package in PACKAGES[name]]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise StepFailed(
            f"The smoke run of the dashboard needs Firefox and WebKit: `apt-get install {' '.join(missing)}` as root, or name "
            f"those that are here in {VARIABLE} (`firefox`, `webkit`, both with a comma, or nothing)."
        )
    fix = f"Without a network: name the browsers that are here in {VARIABLE}."
    run_step("Reading the list of packages", [apt, "update"], log, fix=fix)
    command = [apt, "install", "-y", "--no-install-recommends", *missing]
    run_step(f"Installing {', '.join(missing)}", command, log, fix=fix)
