"""The service manager that has this installation, if one has: then it starts and stops, so that its restarts and settings apply.

What must not regress: units of another home are nobody's business here, and where no manager answers nothing is asked of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cli.context import App
from cli.daemons.units import Unit, installation, launchd_units, systemd_units
from shared.errors import StartFailed

MANAGER_SECONDS = 90.0
_HOME = re.compile(r'PILOTLIGHT_HOME(?:=|</key>\s*<string>)([^"<\n]*)')


@dataclass(frozen=True)
class Manager:
    """The service manager of this platform: its files, and the commands that make them count."""

    units: list[Unit]
    install: list[list[str]]
    uninstall: list[list[str]]
    start: list[list[str]]
    stop: list[list[str]]
    status: list[str]
    available: bool
    advice: str


def manager_of(app: App, platform: str = sys.platform) -> Manager:
    """The manager of this platform, with everything filled in for this installation."""
    values = installation(app)
    home = Path(app.environment.get("HOME") or Path.home())
    if platform == "darwin":
        return _launchd(launchd_units(values, home))
    config_home = Path(app.environment.get("XDG_CONFIG_HOME") or home / ".config")
    return _systemd(systemd_units(values, config_home))


def _launchd(units: list[Unit]) -> Manager:
    domain = f"gui/{os.getuid()}"
    return Manager(
        units=units,
        install=[["launchctl", "bootstrap", domain, str(unit.path)] for unit in units],
        uninstall=[["launchctl", "bootout", f"{domain}/{unit.name}"] for unit in reversed(units)],
        start=[["launchctl", "bootstrap", domain, str(unit.path)] for unit in units],
        stop=[["launchctl", "bootout", f"{domain}/{unit.name}"] for unit in reversed(units)],
        status=["launchctl", "print", f"{domain}/{units[0].name}"],
        available=shutil.which("launchctl") is not None,
        advice="launchctl was not found: this is not a Mac, or PATH is incomplete.",
    )


def _systemd(units: list[Unit]) -> Manager:
    names = [unit.name for unit in units]
    return Manager(
        units=units,
        install=[["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", "--now", *names]],
        uninstall=[["systemctl", "--user", "disable", "--now", *reversed(names)]],
        start=[["systemctl", "--user", "start", *names]],
        stop=[["systemctl", "--user", "stop", *reversed(names)]],
        status=["systemctl", "--user", "status", "--no-pager", *names],
        available=_systemd_answers(),
        advice="systemd does not answer for this account. Log in through a real login (ssh, not su), or on a server "
        "run `loginctl enable-linger` once; then run:",
    )


def _systemd_answers() -> bool:
    if shutil.which("systemctl") is None:
        return False
    try:
        command = ["systemctl", "--user", "show-environment"]
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def installed(app: App) -> Manager | None:
    """The manager whose units are for this home, when it answers."""
    manager = manager_of(app)
    texts = [unit.path.read_text() for unit in manager.units if unit.path.is_file()]
    if len(texts) < len(manager.units) or not manager.available:
        return None
    wanted = str(app.paths.home) if app.environment.get("PILOTLIGHT_HOME") else None
    homes = {found[1] if (found := _HOME.search(text)) else None for text in texts}
    return manager if homes == {wanted} else None


def start(manager: Manager) -> None:
    """Have it start both. Raise StartFailed."""
    click.echo(f"The services of this installation are installed: {_name()} starts them.", err=True)
    for command in manager.start:
        _run(command)


def stop(manager: Manager) -> None:
    """Have it stop both; live sessions stay, and the services are there again at the next start."""
    click.echo(f"The services of this installation are installed: {_name()} stops them.", err=True)
    for command in manager.stop:
        _run(command, tolerate=True)


def _name() -> str:
    return "launchd" if sys.platform == "darwin" else "systemd"


def _run(command: list[str], tolerate: bool = False) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MANAGER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"`{' '.join(command)}`: {error}", code="service_failed") from error
    if done.returncode and not tolerate:
        why = done.stderr.strip() or f"exit status {done.returncode}"
        raise StartFailed(f"`{' '.join(command)}` failed: {why}", code="service_failed")
