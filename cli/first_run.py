"""The second half of `./run`: `claude` found or installed, the demo when there is no login, then `pilotlight up`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from cli.__main__ import run
from cli.context import App
from cli.daemons.demo_model import DemoModel
from cli.output import FAILED, report
from cli.owners import owner
from cli.setup import claude, login
from cli.setup.bootstrap import ROOT, exclusive
from cli.setup.progress import StepFailed
from shared.errors import PilotlightError

_HELP = {"-h", "--help"}


def main(arguments: list[str]) -> int:
    """Prepare what `up` needs, then run it with these arguments."""
    app = App()
    if _HELP & set(arguments):
        return run(["up", *arguments])
    try:
        more = _mode(app, arguments, _provide_claude(app))
    except StepFailed as failure:
        print(f"pilotlight: {failure}", file=sys.stderr)
        return FAILED
    except PilotlightError as error:
        return report(error, as_json=False)
    return run(["up", *more, *arguments])


def _provide_claude(app: App) -> Path:
    """Find `claude`, or install the pinned release and hand its path to the supervisor. Raise StepFailed."""
    found = claude.find(app.config.claude.command, app.environment)
    if found is not None:
        _say(f"Claude Code: {found.path}")
        return found.path
    if shutil.which("npm") is None:
        raise StepFailed(
            "`claude` was not found on PATH, and there is no npm to install it with. Install Claude Code "
            "(https://claude.com/claude-code), or Node.js (https://nodejs.org), or set claude.command in "
            f"{app.paths.config_file}; then run this again."
        )
    _say("Claude Code was not found on PATH: installing it for this checkout only.")
    with exclusive(ROOT / ".state" / "setup.lock"):
        path = claude.install(claude.PINNED)
    os.environ[claude.COMMAND_VARIABLE] = str(path)
    return path


def _mode(app: App, arguments: list[str], program: Path) -> list[str]:
    """`--demo` when `claude` has no login and nobody asked for either."""
    if {"--demo", "--no-demo"} & set(arguments) or owner(app.paths.supervisor_lock) is not None:
        return []
    found = login.find(app.config.claude, app.environment)
    if DemoModel(app).wanted():
        if found.where is not None:
            _say(f"This home is a demo. There is a Claude login ({found.where}): `./run --no-demo` uses it.")
        return []
    if found.where is not None:
        _say(f"Login: {found.where}")
        return []
    _say("No Claude login found: starting with the demo model (the real CLI, a scripted model on this machine).")
    _say(
        f"To use your own: log in once with {shlex.quote(str(program))}, "
        "then .venv/bin/pilotlight down --all, then ./run --no-demo."
    )
    if found.hint:
        _say(found.hint)
    return ["--demo"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
