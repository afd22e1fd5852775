"""`pilotlight down`: stop the supervisor and the API; with `--all`, the sessions and the demo model as well."""

from __future__ import annotations

import click

from cli.commands.up import daemons, introduce, start, start_services
from cli.context import App, client, json_option, pass_app
from cli.daemons import manager as service_manager
from cli.daemons.demo_model import DemoModel
from cli.daemons.foreground import live_sessions, release_watcher, stop_daemons
from cli.daemons.processes import Daemon
from cli.daemons.report import look
from cli.output import emit
from cli.owners import live_holders
from cli.setup.progress import Step

SHUTDOWN_SECONDS = 120.0


@click.command()
@json_option
@pass_app
def restart(app: App, as_json: bool) -> int:
    """Stop the supervisor and the API and start them again, as they were. Live sessions stay."""
    api = Daemon(app, "api").owner()
    port = int(api.url.rsplit(":", 1)[1]) if api is not None and api.url else None
    release_watcher(app)
    if (manager := service_manager.installed(app)) is not None:
        service_manager.stop(manager)
        stop_daemons(app, (Daemon(app, "supervisor"), Daemon(app, "api")), err=True)
        start_services(app, manager)
    else:
        stop_daemons(app, (Daemon(app, "supervisor"), Daemon(app, "api")), err=True)
        start(app, None, None, again=port)
    if as_json:
        emit(look(app))
    else:
        introduce(app)
    return 0


@click.command()
@click.option("--all", "everything", is_flag=True, help="End all live sessions too (their conversations stay on disk).")
@json_option
@pass_app
def down(app: App, everything: bool, as_json: bool) -> int:
    """Stop the supervisor and the API. Live sessions stay, and the next `up` adopts them."""
    supervisor, api = Daemon(app, "supervisor"), Daemon(app, "api")
    model = DemoModel(app)
    release_watcher(app)
    manager = service_manager.installed(app)
    running = supervisor.owner() is not None or api.owner() is not None or bool(api.further())
    if manager is not None and not everything:
        service_manager.stop(manager)
    if not everything:
        stop_daemons(app, (supervisor, api), err=as_json)
        if as_json:
            emit({"stopped": running, "ended": 0})
        elif not running:
            click.echo("pilotlight is not running.")
        return 0
    api.stop()
    if manager is not None:
        service_manager.stop(manager)
    ended = end_sessions(app, model)
    had_model = model.stop()
    model.forget()
    if as_json:
        emit({"stopped": running, "ended": ended})
    elif not (ended or running or had_model):
        click.echo("Nothing of pilotlight was running.")
    else:
        click.echo(f"Everything is stopped; {ended} live session{'' if ended == 1 else 's'} put to sleep.")
    return 0


def end_sessions(app: App, model: DemoModel) -> int:
    """End every session through the supervisor, started for that if need be; how many had a process."""
    supervisor = Daemon(app, "supervisor")
    if supervisor.owner() is None:
        if not live_holders(app.paths):
            return 0
        supervisor, _ = daemons(app, model if model.wanted() else None, None)
        supervisor.start()
        supervisor.wait_healthy("Starting the supervisor, to end the sessions that still live")
    count = live_sessions(app)
    bus = client(app.paths)
    try:
        with Step("Ending all sessions"):
            bus.call("shutdown", {"sessions": True}, timeout=SHUTDOWN_SECONDS)
    finally:
        bus.close()
        supervisor.stop()
    return count
