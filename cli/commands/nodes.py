"""`pilotlight gateway` and `pilotlight nodes`: one front door for several machines, and what stands behind it."""

from __future__ import annotations

import http.client
import os
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.daemons.own_api import connect
from cli.output import ago, emit, table
from cli.owners import owner
from cli.setup.bootstrap import ROOT
from shared.errors import InvalidRequest, Unavailable, from_wire

CALL_SECONDS = 90.0


@dataclass(frozen=True)
class Door:
    """A gateway (or a node) over HTTP, with a token; `own` when it is that of this home."""

    url: str
    token: str
    own: App | None = None

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """One call. Raise the error that it was refused with, or Unavailable when nobody answers."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(self.url, self.own, CALL_SECONDS) if self.own else kind(parts.netloc, timeout=CALL_SECONDS)
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


def door(app: App) -> Door:
    """The gateway of PILOTLIGHT_GATEWAY, or the one that runs in this home. Raise Unavailable or InvalidRequest."""
    url, token = app.environment.get("PILOTLIGHT_GATEWAY"), app.environment.get("PILOTLIGHT_TOKEN")
    own = url is None
    if url is None:
        running = owner(app.paths.api_lock)
        if running is None or running.url is None:
            raise Unavailable(
                "No gateway runs here. Start it with `pilotlight gateway`, or set PILOTLIGHT_GATEWAY to its address.",
                code="not_running",
            )
        url = running.url
    if token is None:
        try:
            token = app.paths.token_file.read_text().strip()
        except OSError:
            raise InvalidRequest("Set PILOTLIGHT_TOKEN to a token of the gateway.", code="invalid_setting") from None
    return Door(url, token, app if own else None)


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
    found = door(app).call("GET", "/api/nodes")["nodes"]
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


COMMANDS = (gateway, nodes)
