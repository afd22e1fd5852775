"""`pilotlight events`: the journal, and what is added to it while one watches.

Following subscribes first and reads the journal second, so nothing falls between the two; a gap in the numbers (a slow
reader) is filled from the journal, and a gap that the journal no longer covers is declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
import msgspec

from cli.completion import sessions
from cli.context import App, json_option, pass_app
from cli.output import emit_line, printable
from shared.bus import EventStream
from shared.messages import Event, EventsSince, SupervisorStatus

_RECENT = 50
_PAGE = 500
_TICK = "tick"


@dataclass(frozen=True)
class _Wanted:
    """Which events are printed. The journal is read whole: a gap in the numbers must be seen."""

    session: str | None
    kinds: frozenset[str] | None

    def print(self, event: Event, as_json: bool) -> None:
        if self.session in (None, event.session) and (self.kinds is None or event.kind in self.kinds):
            _print(event, as_json)


@click.command()
@click.option("--follow", "following", is_flag=True, help="Go on with what happens from now on.")
@click.option("--since", type=click.IntRange(0), help="Only events after this number (default: the last 50).")
@click.option("--session", "session_id", metavar="ID", shell_complete=sessions, help="Only of this session.")
@click.option("--kinds", help="Only these kinds, with commas, such as message,waiting.")
@json_option
@pass_app
def events(
    app: App, following: bool, since: int | None, session_id: str | None, kinds: str | None, as_json: bool
) -> None:
    """Print events, one a line."""
    wanted = _Wanted(
        session=app.session(session_id).id if session_id else None,
        kinds=frozenset(kind.strip() for kind in kinds.split(",")) if kinds else None,
    )
    stream = EventStream(app.paths.event_address) if following else None
    try:
        if since is None:
            since = max(0, app.ask(SupervisorStatus, "status").head - _RECENT)
        for event in journal(app, since):
            since = event.seq
            wanted.print(event, as_json)
        while stream is not None:
            since = _next(app, stream, since, wanted, as_json)
    except KeyboardInterrupt:
        return
    finally:
        if stream is not None:
            stream.close()


def journal(app: App, since: int) -> Iterator[Event]:
    """Every kept event after `since`, in order."""
    while True:
        page = app.call("events.since", EventsSince(seq=since, limit=_PAGE))
        if page.get("gap"):
            click.echo(f"pilotlight: events after {since} are no longer kept; going on at {page['oldest']}.", err=True)
        found = msgspec.convert(page["events"], list[Event])
        yield from found
        if not found or found[-1].seq >= page["head"]:
            return
        since = found[-1].seq


def _next(app: App, stream: EventStream, since: int, wanted: _Wanted, as_json: bool) -> int:
    event = stream.next_event(1.0)
    if event is None:
        return since
    head = event.data.get("head") if event.kind == _TICK else event.seq
    if isinstance(head, int) and head > since + (event.kind != _TICK):
        for missed in journal(app, since):
            since = missed.seq
            wanted.print(missed, as_json)
    if event.kind != _TICK and event.seq > since:
        since = event.seq
        wanted.print(event, as_json)
    return since


def _print(event: Event, as_json: bool) -> None:
    if as_json:
        emit_line(event)
        return
    at = datetime.fromtimestamp(event.at / 1000).strftime("%Y-%m-%d %H:%M:%S")
    data = "  ".join(f"{name}={_brief(value)}" for name, value in event.data.items())
    click.echo(f"{event.seq:>6}  {at}  {(event.session or '-')[:8]:<8}  {event.kind:<20}  {data}".rstrip())


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return printable(text, 80)
