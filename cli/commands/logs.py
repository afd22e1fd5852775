"""`pilotlight logs`: what supervisor and API have noted, in the order in which it happened."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import emit_line, printable, say
from shared.errors import NotFound

NAMES = ("supervisor", "api")
LOOK_SECONDS = 0.3
_TAIL_BYTES = 1 << 20
_OWN = ("at", "level", "logger", "event")


@click.command()
@click.argument("which", type=click.Choice(NAMES), required=False)
@click.option(
    "-n", "--lines", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, from the end."
)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what is noted from now on.")
@json_option
@pass_app
def logs(app: App, which: str | None, lines: int, following: bool, as_json: bool) -> None:
    """Print what the supervisor and the API (or WHICH of them) have logged, latest last."""
    files = [app.paths.log_dir / f"{name}.log" for name in ([which] if which else NAMES)]
    if not any(file.is_file() for file in files):
        raise NotFound(f"There are no logs in {app.paths.log_dir} yet.", code="no_logs")
    places: dict[Path, int] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for file in files:
        told, places[file] = entries(file, max(0, _size(file) - _TAIL_BYTES))
        found += [(file.stem, entry) for entry in told]
    for name, entry in sorted(found, key=lambda item: _moment(item[1]))[-lines:]:
        _print(name, entry, as_json)
    while following:
        time.sleep(LOOK_SECONDS)
        for file in files:
            rotated = _size(file) < places[file]
            told, places[file] = entries(file, 0 if rotated else places[file])
            for entry in told:
                _print(file.stem, entry, as_json)


def entries(file: Path, since: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines from this place on, and where they end: half a line is told when it is whole."""
    try:
        with file.open("rb") as opened:
            opened.seek(since)
            data = opened.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    found = []
    for line in whole.splitlines():
        with suppress(msgspec.DecodeError):  # half a line, at the beginning of the stretch
            entry = msgspec.json.decode(line)
            found += [entry] if isinstance(entry, dict) else []
    return found, since + len(whole)


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _moment(entry: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(entry.get("at"))).timestamp()
    except ValueError:
        return 0.0


def _print(name: str, entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_line(entry)
        return
    when = datetime.fromtimestamp(_moment(entry)).strftime("%Y-%m-%d %H:%M:%S")
    what = entry.get("event") or ""
    more = "  ".join(
        f"{key}={printable(value if isinstance(value, str) else msgspec.json.encode(value).decode(), 120)}"
        for key, value in entry.items()
        if key not in _OWN
    )
    say(
        f"{when}  {name:<10}  {printable(str(entry.get('level', '')), 8):<8}  {printable(str(what), 60)}  {more}".rstrip()
    )
