"""`pilotlight backup` and `restore`: one file with all that the home holds.

The work is that of the program of the supervisor (supervisor/backup.py), which alone knows the database, run by itself: neither
a busy supervisor nor one that is not there is in the way.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import emit
from cli.setup.bootstrap import ROOT
from shared.bus.messages import ErrorBody
from shared.errors import InternalError, from_wire


@click.command()
@click.argument("file", type=click.Path(), required=False)
@click.option("--transcripts", is_flag=True, help="Also what Claude has written down of each conversation.")
@json_option
@pass_app
def backup(app: App, file: str | None, transcripts: bool, as_json: bool) -> None:
    """Write the database, the sessions' folders and the settings into FILE, while all goes on.

    Without FILE a new one in this folder. It is read back before it gets its name. It holds tokens and prompts:
    keep it to yourself.
    """
    name = file or f"pilotlight-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"
    told = _ask(app, "backup", name, *(["--transcripts"] if transcripts else []))
    if as_json:
        emit(told)
        return
    spoken = f", {told['transcripts']} transcripts" if transcripts else ""
    click.echo(
        f"{told['file']}: {told['sessions']} sessions, {told['messages']} messages{spoken}; read back and whole."
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
@pass_app
def restore(app: App, file: str, as_json: bool) -> None:
    """Put the backup FILE into this home, which must hold nothing and not be in use."""
    told = _ask(app, "restore", file)
    if as_json:
        emit(told)
        return
    click.echo(
        f"{told['sessions']} sessions are back and sleep; the next message wakes each. Start with `pilotlight up`."
    )
    if told["waiting"]:
        click.echo(f"{told['waiting']} messages that were waiting then are sent when it starts.")
    if told["transcriptsKept"]:
        click.echo(f"{told['transcriptsKept']} transcripts were there already and were left as they are.")


def _ask(app: App, what: str, file: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "supervisor", what, str(Path(file).absolute()), *options]
    done = subprocess.run(command, cwd=ROOT, env=dict(app.environment), capture_output=True)
    try:
        told: dict[str, Any] = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise InternalError(f"`{what}` ended with status {done.returncode}: {' '.join(last)}") from None
    if "error" in told:
        error = msgspec.convert(told["error"], ErrorBody)
        raise from_wire(error.code, error.message, error.status, error.data)
    return told
