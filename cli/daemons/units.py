"""The files of the service managers: the templates of `launchd/` and `systemd/`, filled in for this installation.

Each manager has its own idea of escaping: a plist is XML, a unit knows `%` specifiers, `$` variables and quotes. What
neither can express (a line break in a path) is refused.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cli.context import App
from cli.setup import claude
from cli.setup.bootstrap import ROOT
from shared.config import ENVIRONMENT
from shared.errors import InvalidRequest

NAMES = ("supervisor", "api")
STEPS_SINCE = 254
"""The release of systemd that knows RestartSteps."""

_PASSED = (
    "PATH",
    "LANG",
    "PILOTLIGHT_HOME",
    claude.COMMAND_VARIABLE,
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    *ENVIRONMENT,
)


@dataclass(frozen=True)
class Installation:
    """What the templates are filled with."""

    python: str
    root: str
    logs: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Unit:
    """One file of a service manager."""

    name: str
    path: Path
    text: str


def installation(app: App) -> Installation:
    """This installation; the environment is what the two processes need and nothing else. Raise InvalidRequest when it says
    something that the configuration does not allow."""
    environment = {name: app.environment[name] for name in _PASSED if app.environment.get(name)}
    environment.setdefault("PATH", os.defpath)
    if "PILOTLIGHT_HOME" in environment:
        environment["PILOTLIGHT_HOME"] = str(app.paths.home)
    found = claude.find(app.config.claude.command, app.environment)
    if found is not None and found.source == "bundled":
        environment[claude.COMMAND_VARIABLE] = str(found.path)
    return Installation(sys.executable, str(ROOT), str(app.paths.log_dir), environment)


def launchd_units(values: Installation, home: Path) -> list[Unit]:
    """The two LaunchAgents."""
    folder = home / "Library" / "LaunchAgents"
    return [
        Unit(label, folder / f"{label}.plist", render_plist(_template("launchd", f"{label}.plist"), values))
        for label in (f"pilotlight.{name}" for name in NAMES)
    ]


def systemd_units(values: Installation, config_home: Path, version: int | None = None) -> list[Unit]:
    """The two user units, for this machine's systemd unless another version is named."""
    folder = config_home / "systemd" / "user"
    pauses = back_off(systemd_version() if version is None else version)
    return [
        Unit(name, folder / name, render_unit(_template("systemd", name).replace("@BACKOFF@", pauses), values))
        for name in (f"pilotlight-{name}.service" for name in NAMES)
    ]


@functools.cache
def systemd_version() -> int:
    """The release of this machine's systemd; 0 without one."""
    try:
        told = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"systemd (\d+)", told)
    return int(found[1]) if found else 0


def back_off(version: int) -> str:
    """How long it waits before it tries again what failed: one second after a crash, and ever longer where that does not help.
    A systemd that knows no steps waits a few seconds each time. It never gives up: what is wrong may mend itself (a full
    disk, a folder that is mounted later), and nobody is there to start it again."""
    return "RestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60" if version >= STEPS_SINCE else "RestartSec=3"


def render_plist(template: str, values: Installation) -> str:
    """Fill a LaunchAgent."""
    entries = [
        f"        <key>{_xml(name)}</key>\n        <string>{_xml(value)}</string>"
        for name, value in values.environment.items()
    ]
    return _fill(template, values, _xml, "\n".join(entries), _xml)


def render_unit(template: str, values: Installation) -> str:
    """Fill a systemd unit."""
    entries = [f"Environment={_quoted(f'{name}={value}')}" for name, value in values.environment.items()]
    return _fill(template, values, _specifiers, "\n".join(entries), _argument)


def _fill(
    template: str, values: Installation, plain: Callable[[str], str], entries: str, program: Callable[[str], str]
) -> str:
    for value in (values.python, values.root, values.logs, *values.environment.values()):
        if any(not char.isprintable() for char in value):
            raise InvalidRequest(f"{value!r} holds a control character: no service file can name it.", code="bad_path")
    parts = {
        "@PYTHON@": program(values.python),
        "@ROOT@": plain(values.root),
        "@LOGS@": plain(values.logs),
        "@ENVIRONMENT@": entries,
    }
    lines = []
    for line in template.splitlines():
        mark = next((mark for mark in parts if mark in line), None)
        lines.append(line if mark is None else line.replace(mark, parts[mark]))
    return "\n".join(lines) + "\n"


def _template(folder: str, name: str) -> str:
    return (resources.files(folder) / name).read_text()


def _xml(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text)


def _specifiers(text: str) -> str:
    """A path that stands alone on its line: only `%` is special (systemd.unit(5))."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """One quoted word of `Environment=`: quotes, backslashes and `%` are special, `$` is not (systemd.exec(5))."""
    return '"' + _specifiers(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _argument(text: str) -> str:
    """The program in `ExecStart=`: quoted, and `$` doubled (systemd.service(5))."""
    return _quoted(text).replace("$", "$$")
