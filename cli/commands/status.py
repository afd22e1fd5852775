"""`pilotlight status` and `pilotlight token`: what runs, where it listens, and how to get in."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.daemons.processes import Daemon
from cli.output import NOT_RUNNING, emit, say, sessions_table
from shared.access.tokens import DEFAULT_NAME
from shared.bus.messages import SessionView
from shared.errors import PilotlightError, Unavailable
from shared.node import read as read_node

_STATUS_SECONDS = 5.0


@click.command()
@json_option
@pass_app
def status(app: App, as_json: bool) -> int:
    """Show what runs. Exit code 0 when supervisor and API both do, 3 otherwise."""
    report = look(app)
    if as_json:
        emit(report)
    else:
        _describe(report)
    up = report["supervisor"]["responding"] and report["api"]["pid"] is not None
    return 0 if up else NOT_RUNNING


@click.command()
@json_option
@pass_app
def token(app: App, as_json: bool) -> None:
    """Print the bearer token of the HTTP API."""
    try:
        secret = app.paths.token_file.read_text().strip()
        if as_json:
            emit({"name": DEFAULT_NAME, "token": secret})
        else:
            click.echo(secret)
    except FileNotFoundError:
        raise Unavailable("There is no token yet: the first `pilotlight up` makes it.", code="not_running") from None


def look(app: App) -> dict[str, Any]:
    """The state of everything as plain data; whole even when nothing runs."""
    supervisor, daemon = Daemon(app, "supervisor").owner(), Daemon(app, "api")
    api, further = daemon.owner(), daemon.further()
    told: dict[str, Any] = {}
    error: str | None = None
    if supervisor is not None:
        try:
            told = app.call("status", timeout=_STATUS_SECONDS)
        except PilotlightError as failure:
            error = failure.message
    sessions, node = told.pop("sessions", []), read_node(app.paths.home)
    bus = {"requests": app.paths.request_address, "events": app.paths.event_address, "tcp": told.pop("busTcp", None)}
    return {
        "supervisor": {**told, "pid": supervisor and supervisor.pid, "responding": bool(told), "error": error},
        "api": {"pid": api and api.pid, "url": api and api.url, "version": api and api.version},
        "furtherApis": [{"pid": other.pid, "url": other.url, "version": other.version} for other in further],
        "sessions": sessions,
        "bus": bus,
        "node": node and {"id": node.id, "name": node.name, "epoch": node.epoch},
        "home": str(app.paths.home),
        "logs": str(app.paths.log_dir),
    }


def _describe(report: dict[str, Any]) -> None:
    supervisor, api = report["supervisor"], report["api"]
    if supervisor["pid"] is None:
        click.echo("supervisor  not running; `pilotlight up` starts it")
    elif not supervisor["responding"]:
        say(f"supervisor  pid {supervisor['pid']}, does not answer: {supervisor['error']}")
    else:
        demo = ", demo" if supervisor.get("demo") else ""
        click.echo(f"supervisor  pid {supervisor['pid']}, version {supervisor.get('version')}{demo}")
        version = supervisor.get("claudeVersion") or "version unknown"
        command = supervisor.get("claudeCommand")
        say(f"claude      {supervisor.get('claudeError') or f'{command} ({version})'}")
    click.echo("api         not running" if api["pid"] is None else f"api         pid {api['pid']}, {api['url']}")
    for other in report["furtherApis"]:
        say(f"            pid {other['pid']}, {other['url']}")
    if tcp := report["bus"]["tcp"]:
        say(f"bus         {tcp['error'] or '{requests} and {events}'.format(**tcp)}")
    if node := report["node"]:
        say(f"node        {node['name']} ({node['id']})")
    say(f"home        {report['home']}\nlogs        {report['logs']}")
    views = msgspec.convert(report["sessions"], list[SessionView])
    if views:
        click.echo("")
        sessions_table(views)
