"""The calls that existing clients were written against, in their exact shapes and sentences.

`docs/moving.md` is the list; fields may be added here, none changed or dropped. Times are milliseconds.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import Struct

from api.context import api
from api.http import requests
from api.http.problems import json_response
from api.routes.sessions import stop
from shared.bus.messages import SessionView
from shared.bus.session_requests import KeepAlive, ListSessions, SessionRef, StopSession
from shared.errors import Conflict, InvalidRequest, NotFound

routes = Blueprint("legacy", __name__)

_NO_SESSION = "Session not found"
_NO_INTERACTIVE = "Interactive session not found"
_WORKING = frozenset({"starting", "busy", "waiting"})
ASLEEP = 0
"""The `pid` of a session without a process: the legacy server had none of those, and its clients read a number."""

_RECAP_SECONDS = 50.0
"""Legacy clients wait a minute for an answer."""


class KeepAliveRequest(Struct, rename="camel", frozen=True, kw_only=True):
    """The body of keep-alive; unknown fields are tolerated."""

    session_id: str | None = None
    action: Literal["extend", "recap"] | None = None


@routes.post("/api/sessions/keep-alive")
def keep_alive() -> Response:
    """Extend a session's life, and with `recap` have Claude summarise it.

    Without a recap (nothing is asked of a session that works or waits) `recapSkipped` says why: its state, `timeout`, what
    became of the question (`failed`, ...), or `too_many_requests`. The life is extended in any case.
    """
    tree = requests.json_object(required=False)
    key = requests.idempotency_key(tree.get("requestId"))
    body = requests.fit(KeepAliveRequest, tree)
    if not (body.session_id or "").strip():
        raise InvalidRequest("Session ID is required", code="invalid_field", data={"field": "sessionId"})
    session = requests.session_id(body.session_id or "", _NO_SESSION)
    here = api()
    with here.long_calls.taken() as free:
        asked = body.action == "recap"
        wait = _RECAP_SECONDS if asked and free else 0.0
        action: Literal["extend", "recap"] = "recap" if wait else "extend"
        request = KeepAlive(session_id=session, action=action, wait=wait, key=key)
        try:
            result = here.act("session.keep_alive", request, wait)
        except NotFound:
            raise NotFound(_NO_SESSION, code="session_not_found") from None
        except Conflict as error:
            if error.error_code == "session_ended":  # the legacy server forgot those that had ended
                raise NotFound(_NO_SESSION, code="session_not_found") from None
            raise
    answer: dict[str, Any] = {"success": True, "sessionId": session, "extended": True}
    skipped = result.get("recapSkipped") if free else "too_many_requests"
    if result.get("recap") is not None:
        answer["recap"] = result["recap"]
    elif asked and skipped:
        answer["recapSkipped"] = skipped
    return json_response({**answer, "expiresAt": result["session"].get("expiresAt")})


@routes.get("/api/sessions/active")
def active() -> Response:
    """Every session that is not ended, and how much room there is."""
    here = api()
    views = msgspec.convert(here.call("session.list", ListSessions())["sessions"], list[SessionView])
    views = [view for view in views if view.state != "ended"]
    live = sum(view.state != "hibernated" for view in views)
    settings = here.call("settings.get")
    most = _max_sessions(settings, here.config.sessions.max_concurrent)
    free = 0 if settings["settings"].get("sessions.draining") else max(0, most - live)
    return json_response(
        {
            "success": True,
            "sessions": [{**_common(view), "state": view.state} for view in views],
            "stats": {
                "totalSessions": len(views),
                "maxSessions": most,
                "availableSlots": free,
                "memoryUsage": sum(view.memory_bytes or 0 for view in views),
            },
        }
    )


@routes.get("/api/sessions/interactive/<id>/status")
def interactive_status(id: str) -> Response:
    """One session's life; `active` until its time is over: legacy clients let go of a session that is not."""
    view = _interactive(id)
    now = int(time.time() * 1000)
    expires = _common(view)["expiresAt"]
    return json_response(
        {
            "success": True,
            **_common(view),
            "timeRemaining": max(0, expires - now),
            "isExpired": expires <= now,
            "needsWarning": view.warned,
            "active": expires > now or view.state in _WORKING,
            "state": view.state,
        }
    )


@routes.delete("/api/sessions/interactive/<id>")
def end_interactive(id: str) -> Response:
    """End a session."""
    session = _interactive(id).id
    try:
        stop(StopSession(session_id=session, key=requests.idempotency_key()))
    except NotFound:
        raise NotFound(_NO_INTERACTIVE, code="session_not_found") from None
    return json_response({"success": True, "message": "Interactive session terminated", "sessionId": session})


def _interactive(id: str) -> SessionView:
    """The view of a session that is not ended; an ended one was unknown to the legacy server."""
    session = requests.session_id(id, _NO_INTERACTIVE)
    try:
        view = msgspec.convert(api().call("session.get", SessionRef(session_id=session)), SessionView)
    except NotFound:
        raise NotFound(_NO_INTERACTIVE, code="session_not_found") from None
    if view.state == "ended":
        raise NotFound(_NO_INTERACTIVE, code="session_not_found")
    return view


def _common(view: SessionView) -> dict[str, Any]:
    lifetime = int(api().config.sessions.timeout_hours * 3_600_000)
    return {
        "sessionId": view.id,
        "projectPath": view.project_path,
        "createdAt": view.created_at,
        "lastActivity": view.last_activity,
        "messageCount": view.message_count,
        "expiresAt": view.expires_at if view.expires_at is not None else view.last_activity + lifetime,
        "pid": view.pid or ASLEEP,
    }


def _max_sessions(answer: dict[str, Any], default: int) -> int:
    """`sessions.max_concurrent` as it is in force."""
    found = answer["settings"].get("sessions.max_concurrent", default)
    return int(found)
