"""`pilotlight events`: the journal, and what is added to it while one watches.

Following subscribes first and reads the journal second, so nothing falls between the two; a gap in the numbers (a slow
reader) is filled from the journal. A gap that the journal no longer covers is declared, and so is another journal: numbers
begin again when the database was replaced, and would be taken for old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
import msgspec

from cli.completion import sessions
from cli.context import App, json_option, pass_app
from cli.output import emit_line, printable, say
from shared.bus.event_stream import EventStream
from shared.bus.messages import Event, SupervisorStatus
from shared.bus.service_requests import EventsSince
from shared.errors import Unavailable

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


class Reader:
    """A place in the journal, and what is printed from there on."""

    def __init__(self, app: App, since: int, wanted: _Wanted, as_json: bool) -> None:
        self._app = app
        self._seq = since
        self._epoch: str | None = None
        self._wanted = wanted
        self._as_json = as_json

    def catch_up(self) -> None:
        """Print everything that is kept after this place."""
        while True:
            page = self._app.call("events.since", EventsSince(seq=self._seq, limit=_PAGE))
            if self._epoch not in (None, page["epoch"]):
                self._declare(page, "another journal: the database was replaced")
                self._epoch, self._seq = page["epoch"], 0
                continue
            if page.get("gap"):
                self._declare(page, "older events are no longer kept")
            elif self._seq > page["head"]:
                self._declare(page, "the journal does not reach that far", page["head"] + 1)
                self._seq = page["head"]
            self._epoch = page["epoch"]
            found = msgspec.convert(page["events"], list[Event])
            for event in found:
                self._show(event)
            if not found or self._seq >= page["head"]:
                return

    def take(self, event: Event) -> None:
        """Go on with what is heard, and with what was missed before it."""
        tick = event.kind == _TICK
        head = event.data.get("head") if tick else event.seq
        missed = isinstance(head, int) and head > self._seq + (not tick)
        if missed or event.epoch != self._epoch:
            try:
                self.catch_up()
            except Unavailable:
                return  # the supervisor is away; its next tick brings us back here
        if not tick and event.epoch == self._epoch and event.seq > self._seq:
            self._show(event)

    def _show(self, event: Event) -> None:
        self._seq = event.seq
        self._wanted.print(event, self._as_json)

    def _declare(self, page: dict[str, Any], reason: str, at: int | None = None) -> None:
        """Say that events are missing, in the words of the event streams of the API."""
        gap = {"after": self._seq, "oldest": page["oldest"], "head": page["head"], "epoch": page["epoch"]}
        if self._as_json:
            emit_line({"kind": "gap", "data": {**gap, "reason": reason}})
        click.echo(f"pilotlight: gap after event {self._seq}: {reason}; going on at {at or page['oldest']}.", err=True)


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
    """Print events, one a line. What is missing is told: in JSON as an object of the kind `gap`."""
    wanted = _Wanted(
        session=app.session(session_id).id if session_id else None,
        kinds=frozenset(kind.strip() for kind in kinds.split(",")) if kinds else None,
    )
    stream = EventStream(app.paths.event_address) if following else None
    try:
        if since is None:
            since = max(0, app.ask(SupervisorStatus, "status").head - _RECENT)
        reader = Reader(app, since, wanted, as_json)
        reader.catch_up()
        while stream is not None:
            event = stream.next_event(1.0)
            if event is not None:
                reader.take(event)
    except KeyboardInterrupt:
        return
    finally:
        if stream is not None:
            stream.close()


def _print(event: Event, as_json: bool) -> None:
    if as_json:
        emit_line(event)
        return
    at = datetime.fromtimestamp(event.at / 1000).strftime("%Y-%m-%d %H:%M:%S")
    data = "  ".join(f"{name}={_brief(value)}" for name, value in event.data.items())
    say(f"{event.seq:>6}  {at}  {(event.session or '-')[:8]:<8}  {event.kind:<20}  {data}".rstrip())


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return printable(text, 80)
