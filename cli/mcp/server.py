"""The ways into the tools: standard input and output for a client that starts us, HTTP for those on this machine.

What must not regress: over HTTP we have no token of our own. Each request brings one, the API says whether it counts, and that
request's tools ask with it. Only loopback is listened on, and a browser's page (an Origin, a foreign Host) is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cli.mcp.tools import server
from pilotlight.client import Client, ClientError, Unreachable
from shared.errors import Unavailable

PATIENCE_SECONDS = 20.0
"""For how long a call is tried again while the API restarts."""

PATH = "/mcp"
TO_MEND = "Send `Authorization: Bearer …` with a token of pilotlight (`pilotlight tokens add NAME --scope chat`)."


Reach = Callable[[str, float], Client]
"""A client of the API, by token and patience."""


def serve_stdio(reach: Reach, token: Callable[[], str]) -> None:
    """Serve whoever started us, until it closes our standard input."""
    server(lambda headers: reach(token(), PATIENCE_SECONDS)).run("stdio")


def serve_http(reach: Reach, port: int, ready: Callable[[str], None]) -> None:
    """Serve those on this machine, until we are told to end. Raise Unavailable when the port is taken."""
    listener = _listen(port)
    here = listener.getsockname()[1]
    names = [f"127.0.0.1:{here}", f"localhost:{here}"]
    made = server(lambda headers: reach(bearer(headers or {}) or "", PATIENCE_SECONDS))
    app = made.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        transport_security=TransportSecuritySettings(allowed_hosts=names, allowed_origins=[]),
    )
    settings = uvicorn.Config(Guarded(app, reach), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    ready(f"http://127.0.0.1:{here}{PATH}")
    anyio.run(uvicorn.Server(settings).serve, [listener])


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of a request."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


class Guarded:
    """Lets through only requests with a token that the API accepts."""

    def __init__(self, app: ASGIApp, reach: Reach) -> None:
        self._app = app
        self._reach = reach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and the end of the server."""
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            status, sentence = await anyio.to_thread.run_sync(self._refused, bearer(headers))
            if status:
                extra = {"WWW-Authenticate": "Bearer"} if status == 401 else None
                await JSONResponse({"error": sentence}, status, extra)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refused(self, token: str | None) -> tuple[int, str]:
        if token is None:
            return 401, f"There is no token. {TO_MEND}"
        try:
            self._reach(token, 0.0).call("GET", "/api/me")
        except Unreachable as error:
            return 503, f"pilotlight does not answer; `pilotlight up` starts it. ({error})"
        except Unavailable as error:
            return 503, error.message
        except ClientError as error:
            return 401, f"{error} {TO_MEND}"
        return 0, ""


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Port {port} cannot be had: {error.strerror}. Choose another one.", code="port_taken"
        ) from None
    return listener
