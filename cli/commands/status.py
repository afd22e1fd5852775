"""`pilotlight status` and `pilotlight token`: what runs, where it listens, and how to get in."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.daemons.report import look
from cli.output import NOT_RUNNING, emit, say, sessions_table
from shared.access.tokens import DEFAULT_NAME
from shared.bus.messages import SessionView
from shared.errors import Unavailable


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
