"""Sessions: list, create, look at, change, answer, put to sleep, end."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Struct

from api.auth.guard import need_for
from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared.access.tokens import POWERFUL
from shared.bus.messages import SessionState
from shared.bus.session_requests import (
    Answer,
    CreateSession,
    HibernateSession,
    ListSessions,
    SessionRef,
    StopSession,
    UpdateSession,
)

routes = Blueprint("sessions", __name__)

CHANGEABLE = frozenset({"title", "autoKeepAlive", "delivery", "model", "effort", *POWERFUL}) - {"resume"}
STOP_SECONDS = 60.0
"""The whole stop ladder, with its last rung."""

START_SECONDS = 30.0
ACT_SECONDS = 10.0


class SessionsQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions; `state=ended` includes the ended ones by itself. Without `limit` all of them; `after` is the `next` of the
    page before."""

    state: SessionState | None = None
    include_ended: bool = False
    begins_with: str = ""
    after: requests.PageCursor | None = None
    limit: int | None = None


@routes.get("/api/sessions")
def list_sessions() -> Response:
    """All sessions that are not ended, and those too with `includeEnded=true`."""
    asked = requests.query(SessionsQuery)
    wanted = ListSessions(
        state=asked.state,
        include_ended=asked.include_ended or asked.state == "ended",
        begins_with=asked.begins_with,
        after=asked.after,
        limit=requests.page_limit(asked.limit),
    )
    found = api().call("session.list", wanted)
    return json_response({"success": True, "sessions": found["sessions"], "next": found.get("next")})


@routes.get("/api/attention")
def attention() -> Response:
    """The sessions that wait for a person, each with its `waiting`.

    `allWaiting` has all that a session waits for, in Claude's order, when it asks several things at once; each can be answered by
    its id.
    """
    sessions = api().call("session.list", ListSessions(state="waiting"))["sessions"]
    return json_response({"success": True, "sessions": [session for session in sessions if session.get("waiting")]})


@routes.post("/api/sessions")
def create_session() -> Response:
    """Open a session for a project; `wait` seconds for it to be ready."""
    wanted = requests.action(CreateSession)
    need_for("session.create", wanted)
    requests.not_blank("projectPath", wanted.project_path)
    wait = requests.wait_seconds(wanted.wait, 0.0)
    here = api()
    with here.long_calls.taken() as free:
        wait = wait if free else 0.0
        view = here.act("session.create", msgspec.structs.replace(wanted, wait=wait), wait + START_SECONDS)
    return _one(view, 201)


@routes.get("/api/sessions/<id>")
def get_session(id: str) -> Response:
    """One session."""
    return _one(api().call("session.get", SessionRef(session_id=requests.session_id(id))))


@routes.patch("/api/sessions/<id>")
def update_session(id: str) -> Response:
    """Change title, automatic keep-alive, or what `claude` is started with.

    A model, permission mode, effort, folders, MCP servers or system prompt apply from the next turn on: the process is
    changed at once when the session is idle, otherwise when its turn has ended (`settingsPending` until then).
    """
    session = requests.session_id(id)
    change = requests.action(UpdateSession, key=False, sessionId=session)
    need_for("session.update", change)
    if not set(msgspec.to_builtins(change)) & CHANGEABLE:
        raise requests.invalid("body", f"Nothing to change: send one of {', '.join(sorted(CHANGEABLE))}.")
    return _one(api().act("session.update", change, ACT_SECONDS))


@routes.delete("/api/sessions/<id>")
def end_session(id: str) -> Response:
    """End a session; returns when nothing of its process tree is left. Its conversation stays and can be reopened."""
    view = stop(requests.action(StopSession, sessionId=requests.session_id(id), reason="killed"))
    return json_response(
        {"success": True, "message": "The session has ended.", "sessionId": view["id"], "session": view}
    )


@routes.post("/api/sessions/<id>/answer")
def answer(id: str) -> Response:
    """Answer what the session waits for; the first answer wins, the second gets 409."""
    given = requests.action(Answer, sessionId=requests.session_id(id))
    if all(part is None for part in (given.choice, given.text, given.answers, given.updated_input)):
        raise requests.invalid("choice", "Send `choice`, `text`, `answers` or `updatedInput`.")
    return json_response({"success": True, **api().act("session.answer", given, START_SECONDS)})


@routes.post("/api/sessions/<id>/interrupt")
def interrupt(id: str) -> Response:
    """Stop the turn under way; `rung` says what it took. Claude stays, and so does the queue."""
    ref = requests.action(SessionRef, sessionId=requests.session_id(id))
    return json_response({"success": True, **api().act("session.interrupt", ref, START_SECONDS)})


@routes.post("/api/sessions/<id>/hibernate")
def hibernate(id: str) -> Response:
    """End the process and keep the conversation; the next message wakes it, and so does what Claude has planned for later."""
    order = requests.action(HibernateSession, sessionId=requests.session_id(id))
    return _one(api().act("session.hibernate", order, START_SECONDS))


@routes.post("/api/sessions/<id>/wake")
def wake(id: str) -> Response:
    """Start the process of a hibernated session."""
    return _act("session.wake", id)


@routes.post("/api/sessions/<id>/reopen")
def reopen(id: str) -> Response:
    """Go on with an ended session from its transcript."""
    return _act("session.reopen", id)


def _act(op: str, id: str) -> Response:
    ref = requests.action(SessionRef, sessionId=requests.session_id(id))
    return _one(api().act(op, ref, START_SECONDS))


def stop(order: StopSession) -> dict[str, Any]:
    """End this session and return its last view."""
    view: dict[str, Any] = api().act("session.kill", order, STOP_SECONDS)
    return view


def _one(view: Any, status: int = 200) -> Response:
    response = json_response({"success": True, "session": view}, status)
    if status == 201:
        response.headers["Location"] = f"{request.script_root}/api/sessions/{view['id']}"
    return response
