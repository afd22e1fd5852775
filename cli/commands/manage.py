"""The commands that change a session's life: extend, hibernate, wake, recycle, reopen, set; and the settings of all."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.commands.sessions import absolute, option_flags
from cli.completion import session_argument
from cli.context import App, json_option, pass_app
from cli.output import DONE, FAILED, emit, safe_text, state_text, table, until
from shared.bus.messages import SessionView
from shared.bus.service_requests import SettingsPatch
from shared.bus.session_requests import HibernateSession, KeepAlive, SessionRef, UpdateSession
from shared.errors import InvalidRequest

START_SECONDS = 30.0
STOP_SECONDS = 60.0
RECAP_SECONDS = 120.0


@click.command()
@session_argument
@click.option("--recap", is_flag=True, help="Also have Claude summarise the conversation, and print that.")
@json_option
@pass_app
def extend(app: App, session_id: str, recap: bool, as_json: bool) -> None:
    """Begin the time of the session ID anew: it expires later."""
    order = KeepAlive(session_id=app.session(session_id).id, action="recap" if recap else "extend", wait=RECAP_SECONDS)
    result = app.call("session.keep_alive", order, timeout=RECAP_SECONDS + 10 if recap else START_SECONDS)
    if as_json:
        emit(result)
    elif recap and result.get("recap") is not None:
        click.echo(safe_text(result["recap"]))
    else:
        if recap:
            click.echo(f"no recap: {result.get('recapSkipped') or 'nothing was said'}", err=True)
        expires = result["session"].get("expiresAt")
        click.echo(f"extended; expires {until(expires)} without activity" if expires else "extended")


def _act(op: str, name: str, text: str, seconds: float) -> click.Command:
    @click.command(name, help=text)
    @session_argument
    @json_option
    @pass_app
    def act(app: App, session_id: str, as_json: bool) -> None:
        view = app.ask(SessionView, op, SessionRef(session_id=app.session(session_id).id), timeout=seconds)
        if as_json:
            emit(view)
        else:
            click.echo(state_text(view))

    return act


@click.command()
@session_argument
@click.option("--lose-scheduled", is_flag=True, help="Though Claude has planned to go on by itself, which is lost.")
@json_option
@pass_app
def hibernate(app: App, session_id: str, lose_scheduled: bool, as_json: bool) -> None:
    """End the process of the session ID and keep the conversation.

    The next message wakes it, and so does what Claude has planned for later."""
    order = HibernateSession(session_id=app.session(session_id).id, lose_scheduled=lose_scheduled)
    view = app.ask(SessionView, "session.hibernate", order, timeout=STOP_SECONDS)
    if as_json:
        emit(view)
    else:
        click.echo(state_text(view))


wake = _act("session.wake", "wake", "Start the process of the session ID, which hibernates.", START_SECONDS)
recycle = _act("session.recycle", "recycle", "Give the session ID a new process, between two turns.", STOP_SECONDS)
reopen = _act("session.reopen", "reopen", "Go on with the session ID, which has ended.", START_SECONDS)


@click.command("set")
@session_argument
@click.option("--title", help="A name for people.")
@click.option("--auto-keep-alive/--no-auto-keep-alive", default=None, help="Extend it by itself.")
@click.option("--delivery", help="How messages reach Claude: `interactive` or `per_message`.")
@option_flags
@click.option("--unset", multiple=True, metavar="NAME", help="Take one back, such as `model` (several times).")
@json_option
@pass_app
def set_(
    app: App,
    /,
    session_id: str,
    title: str | None,
    auto_keep_alive: bool | None,
    delivery: str | None,
    unset: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Change the session ID: its title, or what `claude` is started with, from the next turn on."""
    values: dict[str, Any] = {"title": title, "autoKeepAlive": auto_keep_alive, "delivery": delivery}
    values |= started_with(options)
    values = {name: value for name, value in values.items() if value is not None}
    for name in unset:
        values[name.replace("-", "_")] = None
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(UpdateSession)}
    values = {fields.get(name, name): value for name, value in values.items()}
    if not values:
        raise click.UsageError("Say what to change, such as --title or --model.")
    try:
        order = msgspec.convert({"sessionId": app.session(session_id).id, **values}, UpdateSession)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"That cannot be changed so: {error}.", code="invalid_option") from None
    view = app.ask(SessionView, "session.update", order)
    if as_json:
        emit(view)
    elif view.settings_pending:
        click.echo("changed; applies when the turn has ended")
    else:
        click.echo("changed")


def started_with(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `claude` as the bus takes them; what was not given is None."""
    told = dict(options)
    told["add_dirs"] = [absolute(folder) for folder in options["add_dirs"]] or None
    return told


@click.command()
@click.argument("changes", metavar="[NAME=VALUE]...", nargs=-1)
@json_option
@pass_app
def settings(app: App, changes: tuple[str, ...], as_json: bool) -> None:
    """Show the settings in force, or change some until they are changed again.

    `sessions.timeout_hours=48` changes one; `sessions.timeout_hours=` goes back to what the configuration file says.
    """
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"Write {change!r} as NAME=VALUE.")
        values[name] = _value(text) if text else None
    result = _changed(app, values) if values else app.call("settings.get")
    if as_json:
        emit(result)
        return
    changed = set(result["changed"])
    rows = [("SETTING", "VALUE", "")]
    for name, value in sorted(result["settings"].items()):
        rows.append((name, msgspec.json.encode(value).decode(), "changed" if name in changed else ""))
    table(rows)


def _changed(app: App, values: dict[str, Any]) -> Any:
    try:
        return app.call("settings.patch", SettingsPatch(values=values))
    except InvalidRequest as error:
        raise InvalidRequest(error.message, code="invalid_setting") from None


def _value(text: str) -> Any:
    """Numbers, booleans, lists as JSON writes them; anything else is a text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


@click.command()
@json_option
@pass_app
def health(app: App, as_json: bool) -> int:
    """Show the supervisor's own checks. Exit code 0 unless one of them fails."""
    result = app.call("health", timeout=START_SECONDS)
    if as_json:
        emit(result)
    else:
        table([("CHECK", "STATUS", ""), *((item["name"], item["status"], item["detail"]) for item in result["checks"])])
    return FAILED if result["status"] == "unhealthy" else DONE


@click.command()
@json_option
@pass_app
def metrics(app: App, as_json: bool) -> None:
    """Show counts, latencies and resources."""
    result = app.call("metrics")
    if as_json:
        emit(result)
        return
    rows = [("METRIC", "VALUE")]
    for group in ("sessions", "counters", "latency"):
        for name, value in _flat(group, result.get(group, {})):
            rows.append((name, msgspec.json.encode(value).decode()))
    table(rows)


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [item for key, part in value.items() for item in _flat(f"{name}.{key}", part)]
    return [(name, value)]


COMMANDS = (extend, hibernate, wake, recycle, reopen, set_, settings, health, metrics)
