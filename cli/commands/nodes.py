"""`pilotlight gateway`, `nodes` and `move`: one front door for several machines, what stands behind it, and a session from one to
another.

What must not regress: whoever repeats `move` goes on where it was, whatever has died meanwhile; what is to be decided by a person
is never decided by trying again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.daemons.own_api import connect
from cli.output import ago, emit, say, table
from cli.owners import owner
from cli.setup.bootstrap import ROOT
from shared.errors import InvalidRequest, NotFound, PilotlightError, Unavailable, from_wire

CALL_SECONDS = 90.0
MOVE_SECONDS = 3600.0
AGAIN_SECONDS = 1.0
WHOLE_ID = 36
START = "Start one with `pilotlight gateway` in a home of its own, or set PILOTLIGHT_GATEWAY to its address."


@dataclass(frozen=True)
class Gateway:
    """A gateway (or a node) over HTTP, with a token; `own` when it is that of this home."""

    url: str
    token: str
    own: App | None = None

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, seconds: float = CALL_SECONDS
    ) -> Any:
        """One call. Raise the error that it was refused with, or Unavailable when nobody answers."""
        import http.client

        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(self.url, self.own, seconds) if self.own else kind(parts.netloc, timeout=seconds)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        sent = msgspec.json.encode({} if body is None else body) if method != "GET" else None
        try:
            connection.request(method, parts.path.rstrip("/") + path, sent, headers)
            response = connection.getresponse()
            told = msgspec.json.decode(response.read() or b"{}")
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise Unavailable(f"{self.url} does not answer as a gateway does: {error}.", code="not_running") from None
        finally:
            connection.close()
        if response.status >= 400:
            raise from_wire(told.get("code", "error"), told.get("error", "Refused."), response.status, told.get("data"))
        return told

    def nodes(self) -> list[dict[str, Any]]:
        """What stands behind it. Raise Unavailable when it is no gateway, but one pilotlight: asked to move a session, that would
        put it to sleep for a move which nobody carries out."""
        try:
            found: list[dict[str, Any]] = self.call("GET", "/api/nodes")["nodes"]
        except NotFound:
            raise Unavailable(f"What answers at {self.url} is no gateway. {START}", code="not_running") from None
        return found


def gateway_of(app: App) -> Gateway:
    """The gateway of PILOTLIGHT_GATEWAY, or the one that runs in this home. Raise Unavailable or InvalidRequest."""
    url, token = app.environment.get("PILOTLIGHT_GATEWAY"), app.environment.get("PILOTLIGHT_TOKEN")
    own = url is None
    if url is None:
        running = owner(app.paths.api_lock)
        if running is None or running.url is None:
            raise Unavailable(f"No gateway runs here. {START}", code="not_running")
        url = running.url
    if token is None and own:  # a token of this home is nothing for another's address
        try:
            token = app.paths.token_file.read_text().strip()
        except OSError:
            token = None
    if token is None:
        raise InvalidRequest("Set PILOTLIGHT_TOKEN to a token of the gateway.", code="invalid_setting")
    return Gateway(url, token, app if own else None)


@click.command()
@pass_app
def gateway(app: App) -> None:
    """Serve as the front door of the nodes in nodes.yaml, in the foreground. It needs no supervisor.

    The file lies in the home (PILOTLIGHT_HOME); docs/machines.md says what is in it. Run as many as you like: a gateway keeps
    nothing. Its tokens, devices and config.yaml are those of its home.
    """
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "api", "gateway"], dict(app.environment))


@click.command()
@json_option
@pass_app
def nodes(app: App, as_json: bool) -> None:
    """The nodes behind the gateway, each with its state and since when that is known."""
    found = gateway_of(app).nodes()
    if as_json:
        emit({"nodes": found})
        return
    rows = [
        (
            node["name"],
            node["state"],
            ago(node["asOf"]) if node["asOf"] else "never",
            node["url"],
            node.get("reason", ""),
        )
        for node in found
    ]
    table([("NODE", "STATE", "SEEN", "ADDRESS", "WHY"), *rows])


@click.command()
@click.argument("session")
@click.argument("node", required=False)
@click.option("--project", help="The folder of its project on the other node, if that is another one.")
@click.option("--cancel", is_flag=True, help="Call a move off that is not done: the session stays where it is.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds for which it is tried while a node is away.")
@json_option
@pass_app
def move(
    app: App, session: str, node: str | None, project: str | None, cancel: bool, timeout: float, as_json: bool
) -> None:
    """Move SESSION to NODE, with its conversation, attachments and queue. Both stand behind the gateway.

    It sleeps, and accepts nothing until it is there; the node that it has left says where it is. Repeat the command when it was
    interrupted: it goes on. It needs the project's folder there, and no other `claude` in the conversation.
    """
    if (node is None) != cancel:
        raise click.UsageError("Say to which node, or --cancel.")
    there = gateway_of(app)
    if not cancel:
        there.nodes()
    name = quote(_whole(there, session), safe="~")
    if cancel:
        told = there.call("DELETE", f"/api/sessions/{name}/move")
        emit(told) if as_json else click.echo(f"It is {told['session']['id']}.")
        return
    wanted = {"node": node} | ({"projectPath": project} if project else {})
    told = until_moved(lambda: there.call("POST", f"/api/sessions/{name}/move", wanted, seconds=MOVE_SECONDS), timeout)
    emit(told) if as_json else click.echo(f"It is {told['session']['id']} now.")


def until_moved(
    attempt: Callable[[], dict[str, Any]],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """What the move has come to, tried again while what is in its way may pass. Raise what it was refused with."""
    end, said = clock() + timeout, ""
    while True:
        try:
            return attempt()
        except PilotlightError as error:
            if not error.retryable or clock() >= end:
                raise
            if error.message != said:
                said = error.message
                say(f"{said} Trying again.", err=True)
        pause(AGAIN_SECONDS)


def _whole(there: Gateway, session: str) -> str:
    """The id that this is, or is the beginning of."""
    if len(session.rpartition("~")[2]) == WHOLE_ID:
        return session
    found = there.call("GET", f"/api/sessions?includeEnded=true&beginsWith={quote(session, safe='')}")["sessions"]
    names = [view["id"] for view in found if not view.get("movedTo")] or [view["id"] for view in found]
    if len(names) > 1:
        raise InvalidRequest(f"{session!r} begins several sessions: give more of it.", code="ambiguous_id")
    if not names:
        raise NotFound(f"No session begins with {session!r} at the nodes that answer.", code="session_not_found")
    return str(names[0])


COMMANDS = (gateway, nodes, move)
