"""`pilotlight open` and `pilotlight devices`: letting browsers in, and out again."""

from __future__ import annotations

import sys
import time
from typing import cast

import click

from cli.context import App, json_option, pass_app
from cli.output import ago, emit, table
from cli.owners import owner
from cli.terminal.qr import drawing
from shared.access.devices import Devices, Invitation, view
from shared.access.tokens import SCOPES, Keyring, Scope
from shared.errors import Unavailable


@click.command("open")
@click.option(
    "--scope", type=click.Choice(SCOPES), default="answer", show_default=True, help="What the browser may do."
)
@click.option("--name", help="How the device is listed (default: what the browser says it is).")
@click.option("--browser/--no-browser", default=None, help="Open it here, too (default: at a terminal with a screen).")
@click.option("--qr", is_flag=True, help="Also as a QR code, for a phone's camera.")
@json_option
@pass_app
def open_dashboard(app: App, scope: str, name: str | None, browser: bool | None, qr: bool, as_json: bool) -> None:
    """Print a link that signs a browser in, and a code to type there. Both work once, for five minutes.

    answer: talk, and decide for Claude. admin: everything, such as ending sessions and the terminal's keyboard.
    """
    made, url = invite(app, cast(Scope, scope), name)
    if as_json:
        emit({"url": url, "code": made.code, "scope": made.scope, "until": made.until})
        return
    click.echo(url)
    if qr:
        click.echo(drawing(url), err=True)
    click.echo(f"Code: {made.code}   (once, within five minutes; may {made.scope})", err=True)
    if browser if browser is not None else not qr and sys.stdout.isatty() and _has_screen(app):
        click.launch(url)


@click.group()
def devices() -> None:
    """Browsers that are signed in. `pilotlight open` lets another one in."""


@devices.command("list")
@json_option
@pass_app
def list_devices(app: App, as_json: bool) -> None:
    """List them with scope and last use."""
    records = _devices(app).records()
    if as_json:
        emit({"devices": [view(record) for record in records]})
        return
    rows = [("ID", "NAME", "SCOPE", "SIGNED IN", "LAST USED")]
    now = time.time()
    rows += [(r.id, r.name, r.scope, ago(r.created_at, now), ago(r.last_used_at, now)) for r in records]
    table(rows)


@devices.command("revoke")
@click.argument("device")
@json_option
@pass_app
def revoke(app: App, device: str, as_json: bool) -> None:
    """Let DEVICE (its id or name) in no more; what it has open ends within a second."""
    record = _devices(app).revoke(device)
    if as_json:
        emit({"device": view(record), "revoked": True})


def invite(app: App, scope: Scope, name: str | None = None) -> tuple[Invitation, str]:
    """An invitation, and its link at the API that runs now. Raise Unavailable when none does."""
    devices = _devices(app)
    holder = owner(app.paths.api_lock)
    if holder is None or holder.url is None:
        raise Unavailable("The API is not running. Start it with `pilotlight up`.", code="not_running")
    made = devices.invite(scope, name)
    return made, f"{holder.url.rstrip('/')}/#/sign-in/{made.link}"


def _devices(app: App) -> Devices:
    app.paths.prepare()
    return Devices(app.paths, Keyring(app.paths))


def _has_screen(app: App) -> bool:
    return sys.platform == "darwin" or bool(app.environment.get("DISPLAY") or app.environment.get("WAYLAND_DISPLAY"))
