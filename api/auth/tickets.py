"""Tickets: leave to open one stream, once, within half a minute.

A browser cannot send an Authorization header with a WebSocket or an EventSource, and a token in an address ends up in
logs and histories. So a page asks for a ticket with its token and puts that into the address. It lives in this process
only: after a restart the page asks again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from flask import current_app, request

from shared.access.tokens import Identity
from shared.errors import Unauthorized

TICKET_SECONDS = 30.0
MAX_TICKETS = 1000
Mode = Literal["read", "write", "events"]
_Route = TypeVar("_Route", bound=Callable[..., object])
_EXTENSION = "pilotlight.tickets"


@dataclass(frozen=True)
class Ticket:
    """What it is good for: to look at, or to type into, one session, or to follow events (of one session, or all)."""

    identity: Identity
    mode: Mode
    session: str | None
    until: float


class Tickets:
    """Those that were given out and not used."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def issue(self, identity: Identity, mode: Mode, session: str | None) -> str:
        """A new one; beyond MAX_TICKETS the oldest is forgotten."""
        secret = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[secret] = Ticket(identity, mode, session, self._clock() + TICKET_SECONDS)
            while len(self._tickets) > MAX_TICKETS:
                self._tickets.popitem(last=False)
        return secret

    def redeem(
        self, secret: str, mode: str, session: str | None, still_valid: Callable[[Identity], bool] = lambda _: True
    ) -> Identity:
        """Whose it was; it is used up, whether or not it fits, and worth what the token behind it is. Raise Unauthorized."""
        with self._lock:
            ticket = self._tickets.pop(secret, None)
        fits = ticket is not None and (ticket.mode, ticket.session) == (mode, session)
        if ticket is None or not fits or ticket.until < self._clock() or not still_valid(ticket.identity):
            raise Unauthorized(
                "This ticket is used, too old, or for something else: ask for another with POST /api/tickets.",
                code="invalid_ticket",
            )
        return ticket.identity


def takes(kind: str) -> Callable[[_Route], _Route]:
    """Mark a route that may be opened with a ticket: for the `terminal`, or for `events`."""

    def mark(route: _Route) -> _Route:
        route.ticket = kind  # type: ignore[attr-defined]
        return route

    return mark


def register(extensions: dict[str, Any]) -> None:
    """Give an application its tickets."""
    extensions[_EXTENSION] = Tickets()


def tickets() -> Tickets:
    """Those of the application that serves this request."""
    return cast(Tickets, current_app.extensions[_EXTENSION])


def redeemed(kind: str | None, still_valid: Callable[[Identity], bool]) -> Identity | None:
    """Who comes with a ticket, to a route that takes tickets of this kind; None without one. Raise Unauthorized."""
    secret = request.args.get("ticket")
    if kind is None or secret is None:
        return None
    session = (request.view_args or {}).get("id") or request.args.get("session")
    mode = request.args.get("mode", "read") if kind == "terminal" else kind
    return tickets().redeem(secret, mode, session.lower() if session else None, still_valid)
