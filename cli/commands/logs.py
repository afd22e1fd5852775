"""`pilotlight logs`: what supervisor and API have noted, in the order in which it happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
_OWN = ("at", "time", "ts", "level", "logger", "event", "message")


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
    places = {file: file.stat().st_size if file.is_file() else 0 for file in files}
    found = [entry for file in files for entry in _entries(file, max(0, places[file] - _TAIL_BYTES), places[file])]
    for name, entry in sorted(found, key=lambda item: _moment(item[1]))[-lines:]:
        _print(name, entry, as_json)
    while following:
        time.sleep(LOOK_SECONDS)
        for file in files:
            size = file.stat().st_size if file.is_file() else 0
            since = places[file] if size >= places[file] else 0  # it was rotated
            for name, entry in _entries(file, since, size):
                _print(name, entry, as_json)
            places[file] = size


def _entries(file: Path, since: int, until: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if until <= since:
        return
    with file.open("rb") as opened:
        opened.seek(since)
        data = opened.read(until - since)
    for line in data.splitlines():
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # half a line, at the beginning of a stretch
        if isinstance(entry, dict):
            yield file.stem, entry


def _moment(entry: dict[str, Any]) -> float:
    at = next((entry[name] for name in ("at", "time", "ts") if name in entry), 0)
    try:
        return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else float(at)
    except (TypeError, ValueError):
        return 0.0


def _print(name: str, entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_line(entry)
        return
    when = datetime.fromtimestamp(_moment(entry)).strftime("%Y-%m-%d %H:%M:%S")
    what = entry.get("event") or entry.get("message") or ""
    more = "  ".join(
        f"{key}={printable(value if isinstance(value, str) else msgspec.json.encode(value).decode(), 120)}"
        for key, value in entry.items()
        if key not in _OWN
    )
    say(
        f"{when}  {name:<10}  {printable(str(entry.get('level', '')), 8):<8}  {printable(str(what), 60)}  {more}".rstrip()
    )
