"""The terminal: the screen, the keyboard, its size, its recording, and the whole of it as a WebSocket."""

from __future__ import annotations

import html
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from msgspec import Meta, Struct

from api.auth import tickets
from api.auth.guard import need
from api.context import api
from api.http import requests
from api.http.problems import json_response
from api.terminals.relay import TerminalRequest, Viewers
from api.terminals.websocket import valid_key
from shared import asciicast
from shared.bus.session_requests import RecordingRequest, Resize, ScreenRequest, SendKeys, SessionRef
from shared.errors import InternalError, NotFound, PilotlightError

routes = Blueprint("terminal", __name__)

ACT_SECONDS = 10.0
_EXTENSION = "pilotlight.viewers"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ background: #1d1f21; color: #c5c8c6; }} .pilotlight-screen div {{ line-height: 1.25; }}</style>
</head><body>{screen}</body></html>
"""
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

Cells = Annotated[int, Meta(ge=0, le=10_000)]


class UpgradeRequired(PilotlightError):
    """Only a WebSocket is served here."""

    code, status = "upgrade_required", 426


class ScreenQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to see the screen."""

    format: Literal["json", "text", "html"] = "json"
    history: bool = False


class TerminalQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To look or to type; `cols` and `rows` are the viewer's own screen, whose size the session takes from who types."""

    mode: Literal["read", "write"] = "read"
    cols: Cells = 0
    rows: Cells = 0
    ticket: str | None = None


class RecordRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin to record, or end it."""

    start: bool


class TicketRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ticket is to be for: the terminal of a session, to look or to type, or events (of one session, or all)."""

    mode: tickets.Mode
    session: str | None = None


def _set_up(state: BlueprintSetupState) -> None:
    here = state.app.extensions["pilotlight"]
    state.app.extensions[_EXTENSION] = Viewers(here.paths.terminal_socket, here.stopping, here.still_valid)
    tickets.register(state.app.extensions)


routes.record_once(_set_up)


@routes.get("/api/sessions/<id>/screen")
def screen(id: str) -> Response:
    """What a person would see: as JSON with the cursor, as plain text, or as an HTML page."""
    look = requests.query(ScreenQuery)
    wanted = ScreenRequest(session_id=requests.session_id(id), history=look.history, html=look.format == "html")
    view = api().call("session.screen", wanted)
    if look.format == "text":
        return Response(view["text"], content_type="text/plain; charset=utf-8")
    if look.format == "html":
        page = _PAGE.format(title=html.escape(view.get("title") or "Claude"), screen=view["html"])
        return Response(
            page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _PAGE_POLICY}
        )
    return json_response({"success": True, "screen": {name: view[name] for name in view if name != "html"}})


@routes.post("/api/sessions/<id>/keys")
def keys(id: str) -> Response:
    """Press keys, as a person at the terminal would; not while one has the keyboard."""
    pressed = requests.action(SendKeys, sessionId=requests.session_id(id))
    if not pressed.keys and not pressed.text:
        raise requests.invalid("keys", 'Send `keys`, such as ["Enter"], or `text`.')
    return json_response({"success": True, "session": api().act("session.keys", pressed, ACT_SECONDS)})


@routes.post("/api/sessions/<id>/resize")
def resize(id: str) -> Response:
    """Change the size of the terminal, within 20-500 columns and 5-200 rows; not while a person has the keyboard."""
    wanted = requests.action(Resize, sessionId=requests.session_id(id))
    return json_response({"success": True, "session": api().act("session.resize", wanted, ACT_SECONDS)})


@routes.get("/api/sessions/<id>/recording")
def recording(id: str) -> Response:
    """The recording of the terminal, in the format of asciinema (asciicast v2)."""
    session = requests.session_id(id)
    found = api().call("session.recording", RecordingRequest(session_id=session))
    if not found["files"]:
        raise NotFound(
            "There is no recording of this session. POST here with `start` true, or set sessions.recording.",
            code="no_recording",
        )
    headers = {"Content-Disposition": f'attachment; filename="{session}.cast"'}
    return Response(asciicast.join(map(Path, found["files"])), content_type=asciicast.MEDIA_TYPE, headers=headers)


@routes.post("/api/sessions/<id>/recording")
def record(id: str) -> Response:
    """Begin to record the terminal, or end it. What is typed is not recorded, what is shown is."""
    session = requests.session_id(id)
    wanted = requests.action(RecordRequest, key=False)
    found = api().act(
        "session.recording", RecordingRequest(session_id=session, start=wanted.start, key=g.request_id), ACT_SECONDS
    )
    return json_response({"success": True, "recording": found["recording"], "bytes": found["bytes"]})


@routes.post("/api/tickets")
def ticket() -> Response:
    """Ask for leave to open one stream from a browser, which cannot send a token with it.

    The ticket goes into the address as `ticket`, is good for 30 seconds, for one connection, and for exactly what it was asked
    for: `GET /api/sessions/<id>/terminal` (`read`, `write`), `GET /api/events` or `GET /api/sessions/<id>/stream` (`events`).
    An EventSource that lost its connection cannot use it again: ask for another ticket, and go on with `since` and the
    `lastEventId` of the last event.
    """
    wish = requests.action(TicketRequest, key=False)
    session = None
    if wish.session is not None or wish.mode != "events":
        session = requests.session_id(wish.session or "")
        api().call("session.get", SessionRef(session_id=session))
    if wish.mode == "write":
        need("admin")
    secret = tickets.tickets().issue(g.identity, wish.mode, session)
    return json_response({"success": True, "ticket": secret, "expiresIn": tickets.TICKET_SECONDS}, 201)


@routes.get("/api/sessions/<id>/terminal")  # for those who do not ask for a WebSocket, to be told so
@routes.get("/api/sessions/<id>/terminal", websocket=True)
@tickets.takes("terminal")
def terminal(id: str) -> Response:
    """The terminal as a WebSocket: a snapshot, and then what is shown as it is shown; with `mode=write` keys, too.

    Text messages are JSON with a `type` (the shapes are listed here), binary ones output, or keys; the binary message behind a
    `snapshot` draws the whole screen. To type needs the scope `admin`. From a browser, put a ticket into the address.
    """
    asked = requests.query(TerminalQuery)
    session = requests.session_id(id)
    if asked.mode == "write":
        need("admin")
    here = api()
    here.call("session.get", SessionRef(session_id=session))
    key = handshake()
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        raise InternalError("This server cannot serve WebSockets.", code="no_websocket")
    viewers: Viewers = current_app.extensions[_EXTENSION]
    viewers.reserve()
    opened = TerminalRequest(
        session, asked.mode == "write", f"{here.actor} in a browser", asked.cols, asked.rows, here.identity
    )
    return HandOver(viewers, connection, key, opened)


class HandOver(Response):
    """Instead of a response: the connection changes hands, and the thread that served it is free."""

    def __init__(self, viewers: Viewers, connection: socket.socket, key: str, opened: TerminalRequest) -> None:
        super().__init__(status=101)
        self._viewers, self._connection, self._key, self._opened = viewers, connection, key, opened

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Take the connection from gunicorn and leave it a dead one to close; StopIteration is how it is told to."""
        mine = self._connection.dup()
        dead, other = socket.socketpair()
        os.dup2(dead.fileno(), self._connection.fileno(), inheritable=False)
        dead.close()
        other.close()
        self._viewers.take(mine, self._key, self._opened)
        raise StopIteration


def handshake() -> str:
    """The key of a WebSocket's request. Raise UpgradeRequired for any other."""
    headers = request.headers
    upgrades = {part.strip().lower() for part in headers.get("Connection", "").split(",")}
    key = headers.get("Sec-WebSocket-Key", "")
    asked = headers.get("Upgrade", "").lower() == "websocket" and "upgrade" in upgrades
    if not asked or headers.get("Sec-WebSocket-Version") != "13" or not valid_key(key):
        raise UpgradeRequired("This is a WebSocket (version 13): open it as one.")
    return key
