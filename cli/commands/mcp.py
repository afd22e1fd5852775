"""`pilotlight mcp`: sessions as tools for other agents, over standard input and output or over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import App, pass_app
from cli.daemons.own_api import connect
from cli.owners import owner
from shared.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from pilotlight.client import Client

INSTALL = "`pilotlight mcp` needs the MCP library: `{python} -m pip install 'mcp>=2.3,<3'` (or 'pilotlight[mcp]') installs it."


@click.command()
@click.option(
    "--http", "port", type=click.IntRange(0, 65535), help="Serve HTTP on this port of 127.0.0.1 (0: any free)."
)
@click.option("--url", help="Another pilotlight's API, or a gateway (default: the one that runs here).")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The token to act with (default: PILOTLIGHT_TOKEN; then, without --url, this home's own, for all). Not with --http.",
)
@pass_app
def mcp(app: App, port: int | None, url: str | None, token_file: Path | None) -> None:
    """Let other agents drive sessions by MCP.

    It serves whoever started it over standard input and output, or with --http over HTTP, where each request brings its own
    bearer token.
    """
    if port is not None and token_file is not None:
        raise InvalidRequest("With --http each request brings its own token: leave --token-file out.")
    try:
        from cli.mcp import server
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(("cli", "pilotlight", "shared")):
            raise
        raise Unavailable(INSTALL.format(python=sys.executable), code="not_installed") from None
    if port is None:
        if url is not None and token_file is None and not app.environment.get("PILOTLIGHT_TOKEN"):
            raise InvalidRequest("--url needs a token of that pilotlight: --token-file, or PILOTLIGHT_TOKEN.")
        server.serve_stdio(lambda bearer, patience: reach(app, url, bearer, patience), lambda: token(app, token_file))
    else:
        server.serve_http(lambda bearer, patience: reach(app, url, bearer, patience), port, click.echo)


def reach(app: App, url: str | None, bearer: str, patience: float) -> Client:
    """The API at `url`, or that of this home, under whatever name its certificate is. Raise Unavailable."""
    from pilotlight.client import Client

    if url is not None:
        return Client(url, bearer, patience)
    own = running(app)
    return Client(own, bearer, patience, connect=lambda seconds: connect(own, app, seconds))


def running(app: App) -> str:
    """Where the API of this home listens now. Raise Unavailable."""
    found = owner(app.paths.api_lock)
    if found is None or found.url is None:
        raise Unavailable("pilotlight is not running. Start it with `pilotlight up`.", code="not_running")
    return found.url


def token(app: App, file: Path | None) -> str:
    """The token to act with. Raise Unavailable."""
    given = app.environment.get("PILOTLIGHT_TOKEN")
    if file is None and given:
        return given
    try:
        return (file or app.paths.token_file).read_text().strip()
    except OSError as error:
        if file is None:
            raise Unavailable("This home has no token yet: `pilotlight up` makes one.", code="not_running") from None
        raise Unavailable(f"{error.filename}: {error.strerror}.", code="token_unreadable") from None
