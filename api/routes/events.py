"""The event journal as Server-Sent Events: of everything, and of one session; `api/events/reader.py` has the promises."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response
from msgspec import Struct

from api.auth.tickets import takes
from api.context import api
from api.events import responses
from api.events.reader import CONVERSATION, Filter, Position, Reader
from api.events.text_order import TextOrder
from api.http import requests
from api.inbox import Inbox
from shared.bus.session_requests import SessionRef

routes = Blueprint("events", __name__)


class EventsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`since`: an event's id, to replay what came after it; `kinds`: a list with commas."""

    since: str | None = None
    session: str | None = None
    kinds: str | None = None
    ticket: str | None = None


class StreamQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`since`: an event's id, to replay what came after it."""

    since: str | None = None
    ticket: str | None = None


@routes.get("/api/events")
@takes("events")
def events() -> Response:
    """Follow the journal: from `Last-Event-ID` or `since`, or from now on."""
    asked = requests.query(EventsQuery)
    kinds = frozenset(kind.strip() for kind in asked.kinds.split(",") if kind.strip()) if asked.kinds else None
    session = requests.session_id(asked.session) if asked.session is not None else None
    return _follow(Filter(session=session, kinds=kinds), responses.start(asked.since))


@routes.get("/api/sessions/<id>/stream")
@takes("events")
def session_stream(id: str) -> Response:
    """Follow one conversation: text as Claude displays it, tools, receipts, state, what it waits for.

    Goes on from `Last-Event-ID` or `since`, otherwise from now on. Text comes as `delta`, in order; `messageId` says which of
    Claude's messages it belongs to, `index` which part of it, `final` that it is the last. Of the `input`
    and `result` of a tool call only the beginning comes when it is long (2,048 bytes of a string, 8,192 of all); `truncated`
    says so.
    """
    session = requests.session_id(id)
    start = responses.start(requests.query(StreamQuery).since)
    api().call("session.get", SessionRef(session_id=session))
    return _follow(Filter(session=session, kinds=CONVERSATION), start, TextOrder())


def _follow(wanted: Filter, start: Position | None, order: TextOrder | None = None) -> Response:
    here = api()

    def begin(inbox: Inbox, gone: responses.Gone) -> Iterator[str]:
        return Reader(here.call, inbox, wanted, start, order).texts(gone)

    return responses.respond(here, begin)
