"""What a client with a screen needs beside talking: the journal backwards, samples, what was seen, drafts, folders, rules."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Blueprint, Response
from msgspec import Meta, Struct

from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared.bus.service_requests import AddRule, EventsPage, ListFolders, Nothing, RuleRef, SamplesRequest
from shared.bus.session_requests import DraftRef, KeepDraft, MarkSeen, SessionRef

routes = Blueprint("desk", __name__)

RECYCLE_SECONDS = 60.0


class EventPageQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before` is the `next` of the page before; `kinds` are separated by commas; `actor` as in `device:Ada's phone`."""

    before: Annotated[int, Meta(ge=1, le=9007199254740991)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    session: str | None = None
    kinds: str | None = None
    actor: str | None = None


class SamplesQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`each`: also the last hour of every live session."""

    span: Literal["hour", "day", "fortnight"] = "hour"
    each: bool = False


class FoldersQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path`: what is in it, or begins like it; without it the folders that were used."""

    path: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class SeenMark(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`at`: up to when, in milliseconds; null: up to now."""

    at: Annotated[int, Meta(ge=0, le=9007199254740991)] | None = None


class DraftText(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty one forgets the draft."""

    draft: str


@routes.get("/api/events/page")
def list_events() -> Response:
    """The journal of events backwards, newest first, by session, kinds and actor."""
    query = requests.query(EventPageQuery)
    kinds = [kind for kind in (query.kinds or "").split(",") if kind] or None
    session = requests.session_id(query.session) if query.session else None
    order = EventsPage(before=query.before, limit=query.limit, session_id=session, kinds=kinds, actor=query.actor)
    return json_response({"success": True, **api().call("events.page", order)})


@routes.get("/api/metrics/samples")
def samples() -> Response:
    """Memory, CPU, messages and queue over the last hour, day or fortnight, oldest first."""
    query = requests.query(SamplesQuery)
    return json_response({"success": True, **api().call("samples", SamplesRequest(span=query.span, each=query.each))})


@routes.get("/api/folders")
def folders() -> Response:
    """Folders in which a session may be opened: those that were used, or what lies in one (`sessions.browse_roots`)."""
    query = requests.query(FoldersQuery)
    return json_response(
        {"success": True, **api().call("folders.list", ListFolders(path=query.path, limit=query.limit))}
    )


@routes.put("/api/sessions/<id>/seen")
def mark_seen(id: str) -> Response:
    """Say up to when a person has seen what was said; it never goes back, wakes nothing and is no activity."""
    mark = requests.action(SeenMark, key=False)
    view = api().call("session.seen", MarkSeen(session_id=requests.session_id(id), at=mark.at))
    return json_response({"success": True, "session": view})


@routes.get("/api/sessions/<id>/draft")
def get_draft(id: str) -> Response:
    """What somebody has begun to write to this session, on any device."""
    return json_response({"success": True, **api().call("draft.get", DraftRef(session_id=requests.session_id(id)))})


@routes.put("/api/sessions/<id>/draft")
def keep_draft(id: str) -> Response:
    """Keep what was begun for the other devices; an empty text forgets it."""
    body = requests.action(DraftText, key=False)
    order = KeepDraft(session_id=requests.session_id(id), text=body.draft)
    return json_response({"success": True, **api().call("draft.set", order)})


@routes.post("/api/sessions/<id>/recycle")
def recycle(id: str) -> Response:
    """Give a session at rest a new process; the conversation goes on."""
    ref = requests.action(SessionRef, sessionId=requests.session_id(id))
    return json_response({"success": True, "session": api().act("session.recycle", ref, RECYCLE_SECONDS)})


@routes.get("/api/rules")
def list_rules() -> Response:
    """The permission rules in force: the file's (without an id), then those that were added at run time."""
    return json_response({"success": True, **api().call("rule.list")})


@routes.post("/api/rules")
def add_rule() -> Response:
    """Add a permission rule, in force at once and after a restart.

    One that refuses wins over one that allows; the file's own are changed in the file.
    """
    order = requests.action(AddRule, key=False)
    return json_response({"success": True, "rule": api().call("rule.add", order)}, 201)


@routes.delete("/api/rules/<id>")
def remove_rule(id: str) -> Response:
    """Take back a rule that was added at run time."""
    requests.action(Nothing, key=False)
    api().call("rule.remove", RuleRef(rule_id=id))
    return json_response({"success": True})
