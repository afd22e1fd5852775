"""`pilotlight up`: everything running and healthy, then an address, a token and a line to try.

Safe to repeat and to race: a lock file makes two of them one after the other, and the second finds everything up.
"""

from __future__ import annotations

import json
import shlex
import signal
import time
from pathlib import Path

import click

from cli.access.devices import invite
from cli.context import App, json_option, pass_app, refuse_when_unlike
from cli.daemons import manager as service_manager
from cli.daemons.demo_model import DemoModel
from cli.daemons.foreground import watch
from cli.daemons.manager import Manager
from cli.daemons.processes import Daemon
from cli.daemons.report import look
from cli.output import emit, say
from cli.owners import live_holders
from cli.setup import claude
from cli.setup.bootstrap import exclusive
from shared.bus.messages import SupervisorStatus
from shared.errors import Conflict, PilotlightError

PORT_FILE = "port"


@click.command()
@click.option("--detach", is_flag=True, help="Return when everything is healthy.")
@click.option(
    "--demo/--no-demo",
    default=None,
    help="The real CLI against the embedded demo model: no login needed. Remembered until --no-demo.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the API, remembered (default: the last one said, else api.port, 3001; 0: any).",
)
@json_option
@pass_app
def up(app: App, detach: bool, demo: bool | None, port: int | None, as_json: bool) -> int:
    """Start the supervisor and the API.

    Without --detach it stays, restarts what dies, and stops both at Ctrl-C. Live sessions outlast all of that;
    `pilotlight down --all` ends them.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if (manager := service_manager.installed(app)) is not None:
        if demo is not None or port is not None:
            raise Conflict(
                "The services of this installation keep what they were installed with: set `api.port` for the port, and "
                "`pilotlight service uninstall` comes before the demo."
            )
        started = start_services(app, manager)
    else:
        started = start(app, demo, port)
    if as_json:
        emit(look(app))
    else:
        introduce(app)
    if detach or all(daemon.child is None for daemon in started):
        return 0
    return watch(app, *started)


def start_services(app: App, manager: Manager) -> tuple[Daemon, Daemon]:
    """Have the service manager make everything run."""
    service_manager.start(manager)
    both = Daemon(app, "supervisor"), Daemon(app, "api")
    for daemon in both:
        daemon.wait_healthy(f"Waiting for the {daemon.title}")
    return both


def start(app: App, demo: bool | None, port: int | None, again: int | None = None) -> tuple[Daemon, Daemon]:
    """Make everything run, unless said otherwise at the port `again`; what was started here has a child. Raise
    StartFailed, with nothing begun, when it cannot."""
    app.paths.prepare()
    with exclusive(app.paths.run_dir / "up.lock", "Another `pilotlight up` is at work"):
        both = daemons(app, demo_model(app, demo), (again or _remembered(app)) if port is None else port)
        try:
            for daemon in both:
                _ensure(daemon, port)
        except BaseException:
            for daemon in reversed(both):
                if daemon.child is not None:
                    daemon.stop()
            raise
        if port is not None:
            _remember(app, port)
    return both


def _remembered(app: App) -> int | None:
    """The port that `up --port` said last, unless the environment says one now."""
    try:
        port = int((app.paths.home / PORT_FILE).read_text())
    except (OSError, ValueError):
        return None
    if app.environment.get("PILOTLIGHT_PORT"):
        return None
    click.echo(f"Port {port}, as `up --port` said last; `--port N` changes it.", err=True)
    return port


def _remember(app: App, port: int) -> None:
    file = app.paths.home / PORT_FILE
    if port:
        file.write_text(f"{port}\n")
    else:
        file.unlink(missing_ok=True)


def demo_model(app: App, demo: bool | None) -> DemoModel | None:
    """The demo model when this home is, or shall be, in demo mode."""
    model = DemoModel(app)
    supervisor = Daemon(app, "supervisor").owner()
    if demo is False and model.wanted():
        if supervisor is not None or live_holders(app.paths):
            raise Conflict("The demo runs: `pilotlight down --all` first, then `up --no-demo`.")
        model.leave()
        told = f"No demo any more: its conversations stay in {model.folder}, and go on under `up --demo`."
        click.echo(told, err=True)
    if demo and supervisor is not None and not model.wanted():
        raise Conflict("pilotlight runs without the demo model: `pilotlight down --all` first, then `up --demo`.")
    return model if demo or model.wanted() else None


def daemons(app: App, model: DemoModel | None, port: int | None) -> tuple[Daemon, Daemon]:
    """The supervisor and the API with what each of them is told."""
    extra = model.environment() if model else {}
    found = claude.find(app.config.claude.command, app.environment)
    if found is not None and found.source == "bundled":
        extra[claude.COMMAND_VARIABLE] = str(found.path)
    of_api = {} if port is None else {"PILOTLIGHT_PORT": str(port)}
    return Daemon(app, "supervisor", extra), Daemon(app, "api", of_api)


def introduce(app: App) -> None:
    """Say where everything is, with a line that works as it is printed."""
    holder = Daemon(app, "api").owner()
    url = holder.url if holder else None
    paths = app.paths
    click.echo(f"\npilotlight is up: {url}")
    if (warning := _supervisor_warning(app)) is not None:
        say(f"But: {warning}")
    if DemoModel(app).wanted():
        click.echo(
            "It is the demo: the real CLI, answered by a scripted model on this machine (`up --no-demo` ends it)."
        )
    click.echo(f"Dashboard: {invite(app, 'admin')[1]}")
    click.echo("  (signs this browser in, once, within five minutes; `pilotlight open` makes another link)")
    click.echo(f"Token: {paths.token_file} (`pilotlight token` prints it)\nTry:\n")
    trust = app.config.api.tls_cert if str(url).startswith("https:") else None
    click.echo(f"  {curl_line(str(url), paths.token_file, trust)}\n")


def curl_line(url: str, token_file: Path, certificate: str | None = None) -> str:
    """One shell line that sends a message, in pilotlight's own workspace, and prints the reply; quoted safely."""
    body = json.dumps({"message": "Say hello.", "trust": True})
    header = f'"Authorization: Bearer $(cat {shlex.quote(str(token_file))})"'
    trust = f" --cacert {shlex.quote(str(Path(certificate).expanduser()))}" if certificate else ""
    return f"curl -s{trust} -H {header} -H 'Content-Type: application/json' -d {shlex.quote(body)} {url}/api/chat"


def _ensure(daemon: Daemon, port: int | None) -> None:
    holder = daemon.owner()
    if holder is not None and daemon.name == "api" and port:
        at = int(holder.url.rsplit(":", 1)[1]) if holder.url else port
        told = f"The API already listens at {holder.url}: `pilotlight down` first, then `pilotlight up --port {port}`."
        refuse_when_unlike(at, port, told)
    if holder is None:
        daemon.start()
        daemon.wait_healthy(f"Starting the {daemon.title}")
    elif daemon.answers():
        click.echo(f"The {daemon.title} already runs (pid {holder.pid}).", err=True)
    else:
        daemon.wait_healthy(f"Waiting for the {daemon.title} that runs already (pid {holder.pid})")


def _supervisor_warning(app: App) -> str | None:
    deadline = time.monotonic() + 3
    while True:
        try:
            found = app.ask(SupervisorStatus, "status", timeout=3)
        except PilotlightError as error:
            return error.message
        if found.claude_error or found.claude_version or found.claude_command or time.monotonic() > deadline:
            return found.claude_error
        time.sleep(0.1)
