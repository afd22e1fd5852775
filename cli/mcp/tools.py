"""The tools of `pilotlight mcp`, over the HTTP API.

What must not regress: a refusal reaches the model as the API's own sentence, and so does an API that is not there; what takes
longer than the caller waits goes on, and `receipt` tells of it; a repeat under the same `key` does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import quote

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from pilotlight.client import Client, ClientError, Refused, Unreachable
from shared import __version__
from shared.errors import PilotlightError

WAIT_SECONDS = 50.0
"""How long a tool waits for a reply unless told otherwise: clients give a call up after a minute."""

SESSION_FIELDS = ("id", "state", "title", "projectPath", "lastActivity", "queueLength", "waiting", "endReason", "held")
OUTCOME_FIELDS = ("messageId", "sessionId", "state", "reply", "message", "waiting", "duplicate", "normalized", "usage")
RECEIPT_FIELDS = ("messageId", "sessionId", "state", "reply", "error", "steps", "queuePosition", "normalized", "usage")
ENTRY_FIELDS = ("id", "role", "text", "at", "source", "messageId", "toolCalls", "output", "error")

INSTRUCTIONS = (
    "Sessions of Claude Code that live on this machine. `send` types a message into one and waits for the reply; its receipt "
    "says how far the message came. A `state` of `accepted`, `queued`, `typed` or `submitted` is not the end: ask `receipt` "
    "again instead of sending again. A session that waits (`what_waits`) goes on when it is answered. Give a `key` of your own "
    "to whatever you may repeat: with the same key nothing is done twice."
)

LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)

Clients = Callable[[Mapping[str, str] | None], Client]
"""The client for whoever asks: by the headers of the request, which are None at standard input."""

Session = Annotated[str, Field(description="The session's id, whole.")]
Key = Annotated[str | None, Field(description="Of your own choice: a repeat with the same key is not done twice.")]
Wait = Annotated[float, Field(description="Seconds to wait at most; 0 not at all.", ge=0)]


def server(clients: Clients) -> MCPServer[Any]:
    """A server with all tools."""
    made: MCPServer[Any] = MCPServer(
        "pilotlight", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING", subscriptions=False
    )
    tools = Tools(clients)
    for look in (tools.list_sessions, tools.what_waits, tools.receipt, tools.read_history):
        made.add_tool(look, annotations=LOOKS)
    for act in (tools.open_session, tools.send, tools.answer, tools.interrupt):
        made.add_tool(act, annotations=ACTS)
    return made


class Tools:
    """Each method is a tool: its docstring is what the model reads of it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @contextmanager
    def _asked(self, context: Context[Any, Any]) -> Iterator[Client]:
        try:
            yield self._clients(context.headers)
        except Unreachable as error:
            raise ToolError(f"pilotlight does not answer; `pilotlight up` starts it. ({error})") from error
        except Refused as error:
            known = {name: error.body[name] for name in ("messageId", "sessionId", "state") if error.body.get(name)}
            raise ToolError(f"{error} {known | {'code': error.code}}") from error
        except (ClientError, PilotlightError) as error:
            raise ToolError(str(error)) from error

    def list_sessions(
        self,
        context: Context[Any, Any],
        state: Annotated[str | None, Field(description="Only those that are idle, busy, waiting, hibernated …")] = None,
        ended: Annotated[bool, Field(description="Those that have ended, too.")] = False,
    ) -> dict[str, Any]:
        """All sessions, the oldest first: id, state, folder, and what each waits for."""
        with self._asked(context) as client:
            return {"sessions": [_part(view, SESSION_FIELDS) for view in client.sessions(state, ended)]}

    def open_session(
        self,
        context: Context[Any, Any],
        project: Annotated[str, Field(description="The folder to work in, as an absolute path.")],
        title: Annotated[str | None, Field(description="A name for people.")] = None,
        model: Annotated[str | None, Field(description="As for `claude --model`.")] = None,
        trust: Annotated[
            bool, Field(description="Answer Claude's question whether it trusts the folder: yes.")
        ] = False,
        key: Key = None,
    ) -> dict[str, Any]:
        """Open a new session of Claude Code in a folder. Needs a token of scope `chat`."""
        with self._asked(context) as client:
            made = client.create(project, key=key, title=title, model=model, trust=trust, wait=20.0)
            return _part(made, SESSION_FIELDS)

    def send(
        self,
        context: Context[Any, Any],
        session: Session,
        text: Annotated[str, Field(description="The message: always a prompt, never a slash command.")],
        wait: Wait = WAIT_SECONDS,
        key: Key = None,
    ) -> dict[str, Any]:
        """Send a message and wait for the reply. Without one in time, `messageId` is what `receipt` takes; with `waiting` the
        session asks something first (`answer`). Needs a token of scope `chat`."""
        with self._asked(context) as client:
            return _part(client.chat(text, session=session, wait=wait, key=key), OUTCOME_FIELDS)

    def receipt(
        self,
        context: Context[Any, Any],
        message: Annotated[str, Field(description="The `messageId` that `send` gave.")],
        wait: Wait = WAIT_SECONDS,
    ) -> dict[str, Any]:
        """How far a message came, and its reply; waits until it is settled, or the session asks something."""
        with self._asked(context) as client:
            told = client.message(message, wait)
            answer = _part(told, RECEIPT_FIELDS)
            waiting = client.session(told["sessionId"]).get("waiting")
            return answer | ({"waiting": waiting} if waiting else {})

    def what_waits(self, context: Context[Any, Any]) -> dict[str, Any]:
        """What the sessions wait for: requests for permission, questions, plans, dialogs, each with its choices."""
        with self._asked(context) as client:
            return {
                "waiting": [
                    {"session": view["id"], "title": view.get("title"), "projectPath": view["projectPath"], **waiting}
                    for view in client.sessions("waiting")
                    for waiting in view.get("allWaiting", [])
                ]
            }

    def answer(
        self,
        context: Context[Any, Any],
        session: Session,
        choice: Annotated[str | None, Field(description="The `id` of one of its choices, such as `allow`.")] = None,
        text: Annotated[str | None, Field(description="In words, where it takes words.")] = None,
        answers: Annotated[
            dict[str, str | list[str]] | None, Field(description="By question, or by field of a form.")
        ] = None,
        waiting: Annotated[
            str | None, Field(description="The `id` of what is answered, if it may have changed.")
        ] = None,
        key: Key = None,
    ) -> dict[str, Any]:
        """Answer what a session waits for. Needs a token of scope `answer`."""
        given: Mapping[str, str | Sequence[str]] | None = answers
        with self._asked(context) as client:
            view = client.answer(session, choice, text=text, answers=given, waiting=waiting, key=key)
            return _part(view, SESSION_FIELDS)

    def interrupt(self, context: Context[Any, Any], session: Session, key: Key = None) -> dict[str, Any]:
        """Stop the turn under way. Needs a token of scope `chat`."""
        with self._asked(context) as client:
            return _part(client.interrupt(session, key), SESSION_FIELDS)

    def read_history(
        self,
        context: Context[Any, Any],
        session: Session,
        before: Annotated[str | None, Field(description="The `next` of the page that was read.")] = None,
        limit: Annotated[int, Field(description="Entries at most.", ge=1, le=200)] = 20,
    ) -> dict[str, Any]:
        """What was said in a session: the latest entries, oldest first. `next`, if any, leads to those before."""
        with self._asked(context) as client:
            path = f"/api/sessions/{quote(session, safe='')}/history"
            page = client.call("GET", path, before=before, limit=limit)
            return {"entries": [_part(entry, ENTRY_FIELDS) for entry in page["entries"]], "next": page["next"]}


def _part(told: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: told[name] for name in names if told.get(name) is not None}
