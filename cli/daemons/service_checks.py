"""What would keep the services from working, looked at before they are installed: as they will see it, not as this shell does.

A service has no more than its unit gives it. A `claude` or a login that only this shell knows is not there for it.
"""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from cli.context import App
from cli.daemons import checks
from cli.daemons.checks import Finding
from cli.owners import owner
from shared.claude_names import TOKENS
from shared.errors import PilotlightError

LINGER = Path("/var/lib/systemd/linger")
GIVEN_ANYWAY = ("HOME", "USER", "LOGNAME", "SHELL", "TMPDIR")
"""What both managers give to each service of an account."""


def examine(app: App, environment: Mapping[str, str], platform: str = sys.platform) -> list[Finding]:
    """What is to be mended; nothing when all is well. `environment` is what the units set."""
    theirs = {name: app.environment[name] for name in GIVEN_ANYWAY if name in app.environment} | dict(environment)
    service = App(environment=theirs)
    found = [*checks.claude(service), *checks.login(service), *checks.directories(service), *port(app)]
    found += checks.configuration(service) + (linger() if platform != "darwin" else [])
    return [_for_a_service(one, app.environment) for one in found if one.level != "ok"]


def port(app: App) -> list[Finding]:
    """Whether the API's port can be had, unless it is ours already."""
    try:
        api, running = app.config.api, owner(app.paths.api_lock)
    except PilotlightError:
        return []  # the configuration's own finding says it
    if running is not None:
        return []
    try:
        family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((api.host, api.port))
    except OSError as error:
        text = f"{api.host}, port {api.port}: {error.strerror or error}"
        return [Finding("port", "fail", text, f"Set api.port (api.host) in {app.paths.config_file} to another one.")]
    return [Finding("port", "ok", str(api.port))]


def linger(folder: Path = LINGER, user: str | None = None) -> list[Finding]:
    """Whether systemd keeps this account's services while nobody is logged in."""
    if (folder / (user or getpass.getuser())).exists():
        return [Finding("linger", "ok", "on")]
    fix = "`loginctl enable-linger`, if they are to run while you are not logged in."
    return [Finding("linger", "warn", "The services end when you log out.", fix)]


def _for_a_service(finding: Finding, shell: Mapping[str, str]) -> Finding:
    """A token of the shell is the commonest login, and the one that no service has."""
    tokens = [name for name in TOKENS if shell.get(name)]
    if finding.name != "login" or not tokens:
        return finding
    fix = (
        f"{tokens[0]} of this shell reaches no service: put it into claude.env of config.yaml, or log in with `claude`."
    )
    return Finding(finding.name, finding.level, finding.text, fix)
