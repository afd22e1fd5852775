"""The terminal without attaching to it: screen, keys, resize, record."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from cli.completion import session_argument
from cli.context import App, json_option, pass_app
from cli.output import emit, safe_text, state_text
from shared import asciicast
from shared.bus.messages import Screen, SessionView
from shared.bus.session_requests import RecordingRequest, Resize, ScreenRequest, SendKeys
from shared.errors import NotFound


@click.command()
@session_argument
@click.option("--history", is_flag=True, help="Also what has scrolled away.")
@click.option("--html", is_flag=True, help="With its colours, as HTML.")
@json_option
@pass_app
def screen(app: App, session_id: str, history: bool, html: bool, as_json: bool) -> None:
    """Print what the session ID shows now."""
    wanted = ScreenRequest(session_id=app.session(session_id).id, history=history, html=html)
    seen = app.ask(Screen, "session.screen", wanted)
    if as_json:
        emit(seen)
    else:
        click.echo(safe_text(seen.html or "" if html else seen.text.rstrip()))


@click.command()
@session_argument
@click.argument("names", metavar="[KEY]...", nargs=-1)
@click.option("--text", help="Text to type before the keys.")
@json_option
@pass_app
def keys(app: App, session_id: str, names: tuple[str, ...], text: str | None, as_json: bool) -> None:
    """Press keys in the session ID: Enter, Escape, Tab, Up, C-c, or single characters."""
    if not names and not text:
        raise click.UsageError("Name a key, such as Enter, or give --text.")
    order = SendKeys(session_id=app.session(session_id).id, keys=list(names), text=text)
    view = app.ask(SessionView, "session.keys", order)
    if as_json:
        emit(view)
    else:
        click.echo(state_text(view))


@click.command()
@session_argument
@click.argument("size", metavar="COLSxROWS")
@json_option
@pass_app
def resize(app: App, session_id: str, size: str, as_json: bool) -> None:
    """Change the size of the session ID's terminal, such as 120x40."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    cols, rows = (int(match[1]), int(match[2])) if match is not None else (0, 0)
    if not (20 <= cols <= 500 and 5 <= rows <= 200):
        raise click.UsageError("Write the size as 120x40: 20 to 500 columns, 5 to 200 rows.")
    order = Resize(session_id=app.session(session_id).id, cols=cols, rows=rows)
    view = app.ask(SessionView, "session.resize", order)
    if as_json:
        emit(view)
    else:
        click.echo(f"{cols}x{rows}")


@click.command()
@session_argument
@click.option("--start/--stop", default=None, help="Begin, or end.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the recording (-: print it)."
)
@json_option
@pass_app
def record(app: App, session_id: str, start: bool | None, output: Path | None, as_json: bool) -> None:
    """Record the terminal of the session ID as asciicast (asciinema), or write out what was recorded."""
    found = app.call("session.recording", RecordingRequest(session_id=app.session(session_id).id, start=start))
    if output is not None:
        if not found["files"]:
            raise NotFound("There is no recording of this session: --start begins one.", code="no_recording")
        pieces = asciicast.join(map(Path, found["files"]))
        if str(output) == "-":
            sys.stdout.buffer.writelines(pieces)
            return
        with output.open("wb") as file:
            file.writelines(pieces)
    if as_json:
        emit(found)
    else:
        click.echo(f"{'recording' if found['recording'] else 'not recording'}, {found['bytes']} bytes", err=True)


COMMANDS = (screen, keys, resize, record)
