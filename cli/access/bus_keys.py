"""`pilotlight bus-keys`: which other machines may use the ZeroMQ bus over TCP, and what for."""

from __future__ import annotations

import sys
import time
from typing import cast

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import ago, emit, table
from shared.access.bus_keys import BusKeyring
from shared.access.tokens import SCOPES, Scope


@click.group("bus-keys")
def bus_keys() -> None:
    """CURVE keys for the ZeroMQ bus over TCP (`bus.tcp_host` in the configuration), each with a scope.

    read: events, and looking. chat: send messages, open and wake sessions too. answer: decide for Claude too. admin:
    everything. The supervisor takes changes over at once; whose key is revoked is cut off. See docs/bus.md.
    """


@bus_keys.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="What it may do.")
@click.option(
    "--public-key", metavar="KEY", help="Of a pair that the client has made; its secret stays there. -: read it."
)
@json_option
@pass_app
def add(app: App, name: str, scope: str, public_key: str | None, as_json: bool) -> None:
    """Let the client NAME in. Without --public-key a pair is made, whose secret key is printed for the only time."""
    from shared.bus.connection import new_key_pair  # 20 ms of import that `--help` need not wait for

    keyring = _keyring(app)
    server = keyring.server.ensure(new_key_pair).public
    pair = new_key_pair() if public_key is None else None
    given = sys.stdin.readline() if public_key == "-" else public_key or ""
    public = pair.public if pair else given.strip()
    keyring.clients.add(name, cast(Scope, scope), public)
    made = {"publicKey": public, **({"secretKey": pair.secret} if pair else {})}
    if as_json:
        emit({"name": name, "scope": scope, **made, "serverKey": server})
        return
    table([("name", name), ("scope", scope), *made.items(), ("serverKey", server)])
    if pair:
        click.echo("Keep the secret key: it is not shown again.", err=True)
    if app.config.bus.tcp_host is None:
        click.echo("The bus does not listen on TCP yet: set bus.tcp_host and restart the supervisor.", err=True)


@bus_keys.command("list")
@json_option
@pass_app
def list_keys(app: App, as_json: bool) -> None:
    """List names, scopes and public keys."""
    records = _keyring(app).clients.records()
    if as_json:
        emit({"keys": msgspec.to_builtins(records)})
        return
    rows = [("NAME", "SCOPE", "MADE", "PUBLIC KEY")]
    rows += [(one.name, one.scope, ago(one.created_at, time.time()), one.public_key) for one in records]
    table(rows)


@bus_keys.command("revoke")
@click.argument("name")
@json_option
@pass_app
def revoke(app: App, name: str, as_json: bool) -> None:
    """Forget the client NAME: it is cut off."""
    _keyring(app).clients.revoke(name)
    if as_json:
        emit({"name": name, "revoked": True})


def _keyring(app: App) -> BusKeyring:
    app.paths.prepare()
    return BusKeyring(app.paths)
