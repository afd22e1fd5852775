"""The service manager that has this installation, if one has: then it starts and stops, so that its restarts and settings apply.

What must not regress: units of another home are nobody's business here, and where no manager answers nothing is asked of it.
"""

from __future__ import annotations

import re
import subprocess
import sys

import click

from cli.commands.service import Manager, manager_of
from cli.context import App
from shared.errors import StartFailed

MANAGER_SECONDS = 90.0
_HOME = re.compile(r'PILOTLIGHT_HOME(?:=|</key>\s*<string>)([^"<\n]*)')


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
