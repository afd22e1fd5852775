"""An event stream as a response: one permit, one inbox, both given back exactly once, whatever happens to the client.

It ends within RECHECK_SECONDS of the moment at which the token that opened it stops to count; coming back is a 401 then.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

from flask import Response, request

from api.context import Api
from api.events.reader import Position
from api.http.sockets import readable
from api.inbox import Inbox
from shared.errors import Unavailable

EVENT_STREAM = "text/event-stream"

RECHECK_SECONDS = 1.0
"""How often an open stream asks whether its token still counts."""

Gone = Callable[[], bool]
"""Whether the client has hung up, or may not listen any more."""


def wanted() -> bool:
    """Whether the caller asks for a stream; `*/*` is no such wish."""
    return request.accept_mimetypes.best_match(["application/json", EVENT_STREAM]) == EVENT_STREAM


def start(since: str | None = None) -> Position | None:
    """Where the caller wants to go on: `Last-Event-ID` (a browser that reconnects sends it) before `since`."""
    asked = Position.parse(since, "since") if since else None
    last = request.headers.get("Last-Event-ID")
    return Position.parse(last, "Last-Event-ID") if last else asked


def respond(here: Api, begin: Callable[[Inbox, Gone], Iterator[str]]) -> Response:
    """Stream what `begin` returns. What it raises is an ordinary error response: nothing has been sent yet."""
    if not here.streams.take():
        raise Unavailable(
            f"All {here.streams.size} event streams are in use. Close one, or raise api.threads.",
            code="too_many_streams",
            data={"retryAfter": 5},
        )
    inbox = here.feed.join()
    closed = _Once(here, inbox)
    barred = _barred(here)
    try:
        frames = begin(inbox, gone(here))
    except BaseException:
        closed()
        raise

    def body() -> Iterator[str]:
        try:
            for frame in frames:
                if barred():
                    return
                yield frame
        finally:
            closed()

    response = Response(body(), content_type=f"{EVENT_STREAM}; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(closed)
    return response


def gone(here: Api) -> Gone:
    """What says whether the client of this request has hung up, or may not listen any more."""
    barred, hung_up = _barred(here), _watch(request.environ.get("gunicorn.socket"))
    return lambda: barred() or hung_up()


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


def _barred(here: Api) -> Gone:
    """Whether the token of this request has stopped to count, as of RECHECK_SECONDS ago."""
    looked, last = time.monotonic(), False

    def barred() -> bool:
        nonlocal looked, last
        if not last and time.monotonic() - looked >= RECHECK_SECONDS:
            looked, last = time.monotonic(), not here.still_valid(here.identity)
        return last

    return barred


def _watch(connection: socket.socket | None) -> Gone:
    """Whether the client has hung up; without this a thread is held until the next heartbeat fails."""

    def gone() -> bool:
        if connection is None:
            return False
        try:
            return readable(connection) and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (OSError, ValueError):
            return True

    return gone
