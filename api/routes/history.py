"""Talking beyond sending: history, export, search, usage, commands, the queue's order, forks, other conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response, g, request
from msgspec import Meta, Struct

from api.context import Api, api
from api.http import requests
from api.http.problems import body_of, json_response, respond
from shared.access.tokens import allows
from shared.bus.message_requests import (
    ConversationHistory,
    ExportRequest,
    HistoryRequest,
    ListConversations,
    MoveMessage,
    RunCommand,
    SearchRequest,
    UsageRequest,
)
from shared.bus.messages import CommandResult
from shared.bus.session_requests import ForkSession
from shared.errors import Unauthorized, Unavailable

routes = Blueprint("history", __name__)

READ_SECONDS = 30.0
"""Reading long transcripts, or indexing them for the first time, takes a while."""

START_SECONDS = 30.0
COMMAND_SECONDS = 30.0
Cursor = Annotated[str, Meta(pattern=r"^[0-9]{1,9}\.[0-9]{1,18}$")]


class HistoryQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before` is the `next` of the page that follows."""

    before: Cursor | None = None
    limit: int = 100


class ExportQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to write it."""

    format: Literal["markdown", "json"] = "markdown"


class SearchQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`q`: words, each the beginning of one, and "phrases in quotes"; `session`: only in this one."""

    q: Annotated[str, Meta(min_length=1, max_length=1000)]
    limit: int = 100
    session: str | None = None
    after: requests.PageCursor | None = None


class UsageQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days are those of the machine's time zone."""

    by: Literal["day", "session"] = "day"
    session: str | None = None
    after: requests.PageCursor | None = None
    limit: int | None = None


class ConversationsQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`project`: only those that were held in this folder."""

    project: str | None = None
    limit: int = 100
    after: requests.PageCursor | None = None


class CommandRequest(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A slash command with its arguments, on one line."""

    command: Annotated[str, Meta(min_length=2, max_length=4000, pattern=r"^/[A-Za-z0-9]")]
    wait: float | None = None


class ForkRequest(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of the new session, for people; `before`: the id of a message of a person, in the history."""

    title: str | None = None
    before: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class QueuePosition(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in the queue, counted from 0, the next to be sent; beyond the end is the end."""

    position: Annotated[float, Meta(ge=0, le=1_000_000, multiple_of=1)]


@routes.get("/api/sessions/<id>/history")
def get_history(id: str) -> Response:
    """What was said in a session, oldest first, from its end backwards.

    With tool calls and results, commands, token usage, and what a person typed at the terminal. A page has `limit` entries at
    most, and fewer where they are long (4 MB); `next` leads on.
    """
    session = requests.session_id(id)
    asked = requests.query(HistoryQuery)
    wanted = HistoryRequest(session_id=session, before=asked.before, limit=_limit(asked.limit))
    return json_response({"success": True, **api().call("history", wanted, timeout=READ_SECONDS)})


@routes.get("/api/sessions/<id>/export")
def export_history(id: str) -> Response:
    """The whole history as a file, Markdown or JSON. It comes as it is read: one that breaks off is not whole."""
    session = requests.session_id(id)
    wanted = ExportRequest(session_id=session, format=requests.query(ExportQuery).format)
    here = api()
    first = here.call("export", wanted, timeout=READ_SECONDS)
    release = _slot(here) if first.get("next") else None
    response = Response(_parts(here, wanted, first), content_type=first["contentType"])
    response.headers["Content-Disposition"] = f'attachment; filename="{first["name"]}"'
    if release is not None:
        response.call_on_close(release)
    return response


def _parts(here: Api, wanted: ExportRequest, part: dict[str, Any]) -> Iterator[str]:
    """One after the other, as fast as the client takes them."""
    yield part["text"]
    while after := part.get("next"):
        if not here.still_valid(here.identity):
            raise Unauthorized("The token of this request was revoked or rotated.", code="token_revoked")
        part = here.call("export", msgspec.structs.replace(wanted, after=after), timeout=READ_SECONDS)
        yield part["text"]


def _slot(here: Api) -> Callable[[], None]:
    """A share of the threads for as long as a slow client takes; what gives it back. Raise Unavailable when there is none."""
    if not here.streams.take():
        raise Unavailable(
            f"All {here.streams.size} streams are in use. Try again later, or raise api.threads.",
            code="too_many_streams",
            data={"retryAfter": 5},
        )
    return here.streams.give


@routes.get("/api/search")
def search() -> Response:
    """Full-text search over everything that was said; `complete` is false while older transcripts are still being read.

    Words that somebody adds by hand to the conversation of a session that sleeps or has ended are found within ten minutes, and
    within two while somebody searches, or at once with `session`.

    With the scope `admin` also over conversations that `claude` made elsewhere on this machine: their `sessionId` is null, and
    `POST /api/sessions` with `resume` goes on with them.
    """
    asked = requests.query(SearchQuery)
    session = requests.session_id(asked.session) if asked.session is not None else None
    everywhere = session is None and allows(g.identity.scope, "admin")
    wanted = SearchRequest(
        query=asked.q, limit=_limit(asked.limit), session_id=session, everywhere=everywhere, after=asked.after
    )
    return json_response({"success": True, **api().call("search", wanted, timeout=READ_SECONDS)})


@routes.get("/api/usage")
def usage() -> Response:
    """Tokens by day or by session; each reply counts once, whatever was forked or resumed."""
    asked = requests.query(UsageQuery)
    session = requests.session_id(asked.session) if asked.session is not None else None
    wanted = UsageRequest(by=asked.by, session_id=session, after=asked.after, limit=requests.page_limit(asked.limit))
    return json_response({"success": True, **api().call("usage", wanted, timeout=READ_SECONDS)})


@routes.get("/api/conversations")
def conversations() -> Response:
    """Conversations that `claude` made elsewhere on this machine; `POST /api/sessions` with `resume` goes on with one."""
    asked = requests.query(ConversationsQuery)
    wanted = ListConversations(project_path=asked.project, limit=_limit(asked.limit), after=asked.after)
    return json_response({"success": True, **api().call("conversations.list", wanted, timeout=READ_SECONDS)})


@routes.get("/api/conversations/<id>/history")
def conversation_history(id: str) -> Response:
    """What was said in a conversation that `claude` made elsewhere on this machine, as of a session; it stays as it is."""
    conversation = requests.conversation_id(id)
    asked = requests.query(HistoryQuery)
    wanted = ConversationHistory(conversation_id=conversation, before=asked.before, limit=_limit(asked.limit))
    return json_response({"success": True, **api().call("conversation.history", wanted, timeout=READ_SECONDS)})


@routes.post("/api/sessions/<id>/commands")
def command(id: str) -> Response:
    """Give a slash command, such as /compact or /clear, and say what the CLI said.

    200 with `output`; 202 when it has not run yet, or has opened a dialog: then `waiting` has the choices, and the
    message gets its output when the dialog is answered.
    """
    session = requests.session_id(id)
    body = requests.action(CommandRequest, key=False)
    wait = requests.wait_seconds(body.wait, COMMAND_SECONDS)
    here = api()
    with here.long_calls.taken() as free:
        wait = wait if free else 0.0
        order = RunCommand(session_id=session, command=body.command, wait=wait, key=g.request_id)
        result = msgspec.convert(here.act("session.command", order, wait), CommandResult)
    told: dict[str, Any] = {"requestId": g.request_id, "sessionId": session, **msgspec.to_builtins(result)}
    if result.error is not None:
        problem = body_of(result.error)
        return respond(problem["status"], {**problem, **told})
    return json_response({"success": True, **told}, 200 if result.state == "answered" else 202)


@routes.post("/api/sessions/<id>/fork")
def fork(id: str) -> Response:
    """Open a session that goes on from where this one is; this one stays as it is.

    With `before` it goes on from where this one was before that message: to ask it in another way.
    """
    session = requests.session_id(id)
    body = requests.action(ForkRequest, key=False)
    order = ForkSession(session_id=session, title=body.title, before=body.before, key=g.request_id)
    view = api().act("session.fork", order, START_SECONDS)
    response = json_response({"success": True, "session": view}, 201)
    response.headers["Location"] = f"{request.script_root}/api/sessions/{view['id']}"
    return response


@routes.post("/api/messages/<id>/move")
def move(id: str) -> Response:
    """Move a message that waits to another place in its queue; 409 once it is under way or settled."""
    message = requests.message_id(id)
    place = int(requests.action(QueuePosition, key=False).position)
    moved = api().act("message.move", MoveMessage(message_id=message, position=place), 0.0)
    return json_response({"success": True, "messages": moved["messages"]})


def _limit(limit: int) -> int:
    if not 1 <= limit <= 1000:
        raise requests.invalid("limit", "`limit` must be between 1 and 1000.")
    return limit
