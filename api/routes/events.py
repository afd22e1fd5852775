"""`GET /api/events`: the event journal as Server-Sent Events; `api/stream.py` has the promises."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, request
from msgspec import Struct

from api import inbound
from api.context import Api, api
from api.feed import Inbox
from api.stream import Filter, Position, Reader
from shared.errors import Unavailable

routes = Blueprint("events", __name__)


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`since`: an event's id, to replay what came after it; `kinds`: a list with commas."""

    since: str | None = None
    session: str | None = None
    kinds: str | None = None


@routes.get("/api/events")
def events() -> Response:
    """Follow the journal: from `Last-Event-ID` or `since`, or from now on."""
    asked = inbound.query(Wanted)
    kinds = frozenset(kind.strip() for kind in asked.kinds.split(",") if kind.strip()) if asked.kinds else None
    wanted = Filter(session=inbound.session_id(asked.session) if asked.session else None, kinds=kinds)
    last = request.headers.get("Last-Event-ID")
    start = Position.parse(last, "Last-Event-ID") if last else None
    if start is None and asked.since is not None:
        start = Position.parse(asked.since, "since")
    return _open(api(), wanted, start)


def _open(here: Api, wanted: Filter, start: Position | None) -> Response:
    if not here.streams.take():
        raise Unavailable(
            f"All {here.streams.size} event streams are in use. Close one, or raise api.threads.",
            code="too_many_streams",
            data={"retryAfter": 5},
        )
    inbox = here.feed.join()
    closed = _Once(here, inbox)
    try:
        reader = Reader(here.call, inbox, wanted, start)
    except BaseException:
        closed()
        raise
    gone = _watch(request.environ.get("gunicorn.socket"))

    def body() -> Iterator[str]:
        try:
            yield from reader.frames(gone)
        finally:
            closed()

    response = Response(body(), content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(closed)
    return response


class _Once:
    """Give everything back, once: the generator may never have been started."""

    def __init__(self, here: Api, inbox: Inbox) -> None:
        self._here: Api | None = here
        self._inbox = inbox

    def __call__(self) -> None:
        here, self._here = self._here, None
        if here is not None:
            here.feed.leave(self._inbox)
            here.streams.give()


def _watch(connection: socket.socket | None) -> Callable[[], bool]:
    """Whether the client has hung up; without this a thread is held until the next heartbeat fails."""

    def gone() -> bool:
        if connection is None:
            return False
        try:
            readable, _, _ = select.select([connection], [], [], 0)
            return bool(readable) and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (OSError, ValueError):
            return True

    return gone
