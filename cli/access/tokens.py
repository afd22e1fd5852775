"""`pilotlight tokens`: who else may use the HTTP API, and what for. A token is shown once, when it is made."""

from __future__ import annotations

import time
from typing import cast

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import ago, emit, table
from shared.access.tokens import DEFAULT_NAME, SCOPES, Keyring, Scope, TokenRecord
from shared.errors import InvalidRequest


@click.group()
def tokens() -> None:
    """Named tokens for the HTTP API, each with a scope.

    read: look. chat: send messages, open and wake sessions too. answer: decide for Claude too (permissions, questions).
    admin: everything. The API takes changes over at once, without a restart.
    """


@tokens.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="What it may do.")
@json_option
@pass_app
def add(app: App, name: str, scope: str, as_json: bool) -> None:
    """Make the token NAME and print it, for the only time."""
    _show(name, _keyring(app).named.add(name, cast(Scope, scope)), as_json)


@tokens.command("list")
@json_option
@pass_app
def list_tokens(app: App, as_json: bool) -> None:
    """List names and scopes."""
    records = _keyring(app).named.records()
    if as_json:
        listed = [{"name": DEFAULT_NAME, "scope": "admin"}, *(_plain(record) for record in records)]
        emit({"tokens": listed})
        return
    rows = [("NAME", "SCOPE", "MADE", "ROTATED"), (DEFAULT_NAME, "admin", "-", "-")]
    for record in records:
        rotated = ago(record.rotated_at, time.time()) if record.rotated_at else "-"
        rows.append((record.name, record.scope, ago(record.created_at, time.time()), rotated))
    table(rows)


@tokens.command("rotate")
@click.argument("name")
@json_option
@pass_app
def rotate(app: App, name: str, as_json: bool) -> None:
    """Replace the token NAME and print the new one; the old one counts no more. `default` is possible."""
    keyring = _keyring(app)
    secret = keyring.default.rotate() if name == DEFAULT_NAME else keyring.named.rotate(name)
    _show(name, secret, as_json)


@tokens.command("revoke")
@click.argument("name")
@json_option
@pass_app
def revoke(app: App, name: str, as_json: bool) -> None:
    """Forget the token NAME: it counts no more."""
    if name == DEFAULT_NAME:
        raise InvalidRequest("The default token cannot be revoked; `pilotlight tokens rotate default` replaces it.")
    _keyring(app).named.revoke(name)
    if as_json:
        emit({"name": name, "revoked": True})


def _keyring(app: App) -> Keyring:
    app.paths.prepare()
    return Keyring(app.paths)


def _plain(record: TokenRecord) -> dict[str, object]:
    tree: dict[str, object] = msgspec.to_builtins(record)
    del tree["hash"]
    return tree


def _show(name: str, secret: str, as_json: bool) -> None:
    if as_json:
        emit({"name": name, "token": secret})
        return
    click.echo(secret)
    click.echo("Keep it: it is not shown again.", err=True)
