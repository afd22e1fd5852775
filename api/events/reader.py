"""A reader of the event journal that never skips silently: replay, then live, and replay whenever a number is missing.

The same sequence as on ZeroMQ, as Server-Sent Events. `id` is `<epoch>:<seq>`; a client comes back with it in
`Last-Event-ID` and loses nothing. (`<epoch>:<seq>+<seq>`: this text has overtaken what came before it in the journal.)
What can no longer be replayed is declared with an event `gap`. Heartbeats carry the current id, so that a reader whose
filter matches nothing does not replay a day when it reconnects.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from api.events.text_order import TextOrder
from api.inbox import Inbox
from shared.bus.messages import Event
from shared.bus.service_requests import EventsSince
from shared.errors import InvalidRequest, Unavailable

CONVERSATION = frozenset({"text", "tool", "message", "reply_changed", "state", "waiting", "ended"})
"""The kinds that tell a conversation as it goes on."""

HEARTBEAT_SECONDS = 15.0
PAGE = 500
_LOOK_SECONDS = 1.0
_PLACE = re.compile(r"(?:(?P<epoch>[0-9A-Za-z_-]+):)?(?P<seq>[0-9]{1,18})(?P<also>(?:\+[0-9]{1,18}){0,100})")
_BEHIND = 500
"""How many events before its place an ordered reader looks at, to know which text the client has."""


Call = Callable[[str, Any], Any]


class Page(msgspec.Struct, rename="camel"):
    """The answer of `events.since`."""

    epoch: str
    head: int
    oldest: int = 0
    events: list[Event] = []
    gap: bool = False


@dataclass(frozen=True)
class Position:
    """A place in the journal: everything up to `seq`, and `also` these. Without an epoch: of whichever journal there is."""

    seq: int
    epoch: str | None = None
    also: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str, field: str) -> Position:
        """`17`, `<epoch>:17`, `<epoch>:17+19`. Raise InvalidRequest otherwise."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise InvalidRequest(
                f"`{field}` must be the id of an event, such as 17 or <epoch>:17.", data={"field": field}
            )
        also = frozenset(int(number) for number in match["also"].split("+") if number)
        return cls(int(match["seq"]), match["epoch"], also)


@dataclass(frozen=True)
class Filter:
    """Which events a reader wants to see; `picks` narrows what the journal cannot be asked for. It says None of an event of which
    it cannot tell yet: that is left to the reader's order."""

    session: str | None = None
    kinds: frozenset[str] | None = None
    picks: Callable[[Event], bool | None] | None = None

    def admits(self, event: Event) -> bool:
        """Whether this event is one of them, or may be."""
        return (
            (self.session is None or event.session == self.session)
            and (self.kinds is None or event.kind in self.kinds)
            and (self.picks is None or self.picks(event) is not False)
        )


@dataclass(frozen=True)
class Frame:
    """A piece of the stream: events, or (without any) a greeting, a heartbeat, a gap; empty after a silent second."""

    text: str
    events: tuple[Event, ...] = ()


SILENCE = Frame("")


class Reader:
    """One stream. Made before the response starts, and asks the journal once: a refusal is still an HTTP error."""

    def __init__(
        self, call: Call, inbox: Inbox, wanted: Filter, start: Position | None, order: TextOrder | None = None
    ) -> None:
        self._call = call
        self._order = order
        self._inbox = inbox
        self._wanted = wanted
        here = start or present(call)
        self._epoch, self._seq, self._also = here.epoch, here.seq, set(here.also)
        if order is not None:
            self._recall(order)
        self._first = None if start is None else self._page(self._seq)
        self.patience = _LOOK_SECONDS
        """Seconds of silence after which SILENCE is handed out."""

    def texts(self, gone: Callable[[], bool]) -> Iterator[str]:
        """The stream as it goes over the wire."""
        for frame in self.frames(gone):
            if frame.text:
                yield frame.text

    def frames(self, gone: Callable[[], bool]) -> Iterator[Frame]:
        """The stream, piece by piece, until the feed ends or the client is `gone`."""
        yield Frame(f": pilotlight events\nretry: 1000\n{self.id_line}\n")
        if self._first is not None:
            yield from self._replay(self._first)
        quiet_since = time.monotonic()
        while not self._inbox.ended:
            event = self._inbox.next(self._until_next())
            sent = False
            for frame in self._advance(event) if event is not None else ():
                yield frame
                sent = True
            if self._order is not None and self._order.remaining(time.monotonic()) == 0:
                yield self._group(self._order.pop_all())
                sent = True
            if sent:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                yield Frame(f": heartbeat\n{self.id_line}\n")
                quiet_since = time.monotonic()
            if event is None:
                if gone():
                    return
                if self._order is None or not self._order.keeps:
                    yield SILENCE
        if self._order is not None and self._order.keeps:
            yield self._group(self._order.pop_all())

    @property
    def id_line(self) -> str:
        """Where the client is when it has seen everything up to here, as a line of a frame."""
        return self._id_line(self._order.seqs() if self._order is not None else [])

    def _id_line(self, missing: list[int]) -> str:
        if self._epoch is None:
            return ""
        base = min(missing) - 1 if missing else self._seq
        also = "".join(f"+{seq}" for seq in sorted(self._also) if seq > base)
        return f"id: {self._epoch}:{base}{also}\n"

    def _recall(self, order: TextOrder) -> None:
        """Tell `order` which text came before."""
        args = EventsSince(
            seq=max(0, self._seq - _BEHIND), limit=_BEHIND, session_id=self._wanted.session, kinds=["text"]
        )
        for event in msgspec.convert(self._call("events.since", args), Page).events:
            if event.seq <= self._seq:
                order.skip(event)

    def _until_next(self) -> float:
        left = self._order.remaining(time.monotonic()) if self._order is not None else None
        return self.patience if left is None else min(self.patience, left)

    def _advance(self, event: Event) -> Iterator[Frame]:
        tick = event.kind == "tick"
        head = int(event.data.get("head", event.seq)) if tick else event.seq
        if event.epoch == self._epoch:
            if head <= self._seq:
                return
            if not tick and event.seq == self._seq + 1:
                yield from self._show(event)
                return
        try:
            page = self._page(self._seq)
        except Unavailable:
            return  # the supervisor is away; its next tick brings us back here
        yield from self._replay(page)

    def _replay(self, page: Page) -> Iterator[Frame]:
        if self._epoch is not None and page.epoch != self._epoch:
            yield self._gap(page, "another journal: the database was replaced")
            self._epoch, self._seq, self._also = page.epoch, 0, set()
            page = self._page(0)
        elif page.gap:
            yield self._gap(page, "older events are no longer kept")
        elif self._seq > page.head:
            yield self._gap(page, "the journal does not reach that far")
        self._epoch = page.epoch
        while True:
            for event in page.events:
                yield from self._show(event)
            if not page.events or page.events[-1].seq >= page.head:
                self._seq = page.head
                return
            page = self._page(self._seq)

    def _show(self, event: Event) -> Iterator[Frame]:
        self._seq = event.seq
        if not self._wanted.admits(event):
            return
        if self._order is None:
            yield self._group([event])
            return
        known = event.seq in self._also
        events = self._order.skip(event) if known else self._order.take(event, time.monotonic())
        if events:
            yield self._group(events)

    def _group(self, events: list[Event]) -> Frame:
        """Events that go out as one piece; each id says exactly which of them the client has by then."""
        missing = [event.seq for event in events]
        text = ""
        for event in events:
            missing.remove(event.seq)
            if missing:
                self._also.add(event.seq)
            else:
                self._also = {seq for seq in self._also if seq > self._seq}
            text += self._id_line(missing) + frame_text(event.kind, event)
        return Frame(text, tuple(events))

    def _gap(self, page: Page, reason: str) -> Frame:
        body = {"after": self._seq, "oldest": page.oldest, "head": page.head, "epoch": page.epoch, "reason": reason}
        return Frame(frame_text("gap", body))

    def _page(self, seq: int, limit: int = PAGE) -> Page:
        wanted = self._wanted
        kinds = sorted(wanted.kinds) if wanted.kinds is not None else None
        args = EventsSince(seq=seq, limit=limit, session_id=wanted.session, kinds=kinds)
        return msgspec.convert(self._call("events.since", args), Page)


def present(call: Call) -> Position:
    """Where the journal stands now."""
    page = msgspec.convert(call("events.since", EventsSince(seq=0, limit=1)), Page)
    return Position(page.head, page.epoch)


def frame_text(name: str, body: Any) -> str:
    """One event of the stream, without its id."""
    return f"event: {name}\ndata: {msgspec.json.encode(body).decode()}\n\n"
