"""`pilotlight notify`: who is told what, whether it can be reached, and what was told."""

from __future__ import annotations

import sys
import time
from typing import get_args

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import DONE, FAILED, ago, emit, printable, table
from shared.bus.notifications import FOREVER, KINDS, Content, NoticeView, RecipientView, TestResult
from shared.bus.service_requests import AddRecipient, ListNotices, RecipientRef, UpdateRecipient
from shared.errors import InvalidRequest, NotFound

TEST_SECONDS = 30.0


@click.group()
def notify() -> None:
    """Who is told what: browsers and phones that registered themselves, and channels.

    A recipient is named by its id or its name, or a unique beginning of either.
    """


@notify.command("list")
@json_option
@pass_app
def list_recipients(app: App, as_json: bool) -> None:
    """List recipients and channels, each with its last success or error."""
    recipients = _recipients(app)
    if as_json:
        emit({"recipients": recipients})
        return
    rows = [("ID", "NAME", "CHANNEL", "AT", "STATUS", "TOLD", "")]
    for recipient in recipients:
        told = ago(recipient.success_at, time.time()) if recipient.success_at else "-"
        status = f"{recipient.status}{', present' if recipient.present else ''}"
        rows.append(
            (
                recipient.id,
                recipient.name,
                recipient.kind,
                recipient.place,
                status,
                told,
                printable(recipient.error or "", 80),
            )
        )
    table(rows)


@notify.command("add")
@click.argument("kind", type=click.Choice(("ntfy", "webhook")))
@click.argument("name")
@click.argument("address")
@click.option("--topic", help="Of ntfy: the topic on the server ADDRESS.")
@click.option("--secret", metavar="TEXT", help="ntfy's token, or what a webhook is signed with. -: read it.")
@click.option("--form", type=click.Choice(("json", "slack", "teams")), help="Of a webhook: what it is sent.")
@click.option("--content", type=click.Choice(get_args(Content)), default="title", help="How much leaves this machine.")
@click.option("--kinds", help=f"Only these, with commas: {', '.join(KINDS)}.")
@click.option("--quiet", metavar="HH:MM-HH:MM", help="Hours of every day in which nothing is told.")
@click.option("--zone", help="Time zone of whoever reads it, such as Europe/Vienna.")
@json_option
@pass_app
def add(
    app: App,
    kind: str,
    name: str,
    address: str,
    topic: str | None,
    secret: str | None,
    form: str | None,
    content: str,
    kinds: str | None,
    quiet: str | None,
    zone: str | None,
    as_json: bool,
) -> None:
    """Add the channel NAME: `ntfy NAME SERVER --topic T` or `webhook NAME URL`.

    Browsers and phones register themselves. Channels can also stand in the configuration (notify.channels).
    """
    given = sys.stdin.readline().strip() if secret == "-" else secret
    if kind == "ntfy":
        if topic is None:
            raise click.UsageError("ntfy needs --topic.")
        target = {"server": address, "topic": topic, "token": given}
    else:
        target = {"url": address, "secret": given, "form": form}
    start, _, end = (quiet or "").partition("-")
    rules = {"kinds": kinds.split(",") if kinds else None, "content": content, "zone": zone}
    order = {
        "kind": kind,
        "name": name,
        "target": {key: value for key, value in target.items() if value is not None},
        "rules": {**rules, "quiet": {"start": start, "end": end} if quiet else None},
    }
    try:
        made = app.ask(RecipientView, "recipient.add", msgspec.convert(order, AddRecipient))
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"That cannot be added so: {error}.", code="invalid_option") from None
    if as_json:
        emit(made)
    else:
        click.echo(f"added; `pilotlight notify test {made.name}` sends a test")


@notify.command("remove")
@click.argument("recipient")
@json_option
@pass_app
def remove(app: App, recipient: str, as_json: bool) -> None:
    """Tell DEVICE nothing any more, and forget it."""
    found = _find(app, recipient)
    app.call("recipient.remove", RecipientRef(recipient_id=found.id))
    if as_json:
        emit({"id": found.id, "removed": True})


@notify.command("test")
@click.argument("recipient")
@json_option
@pass_app
def test(app: App, recipient: str, as_json: bool) -> int:
    """Send DEVICE a test, and say how far it came. Exit code 1 when it was not accepted."""
    order = RecipientRef(recipient_id=_find(app, recipient).id)
    result = app.ask(TestResult, "recipient.test", order, timeout=TEST_SECONDS)
    if as_json:
        emit(result)
    elif result.accepted:
        click.echo(f"sent; accepted after {result.milliseconds} ms ({result.detail})")
    else:
        click.echo(f"sent; not accepted: {result.detail}", err=True)
    return DONE if result.accepted else FAILED


@notify.command("mute")
@click.argument("recipient")
@click.option("--hours", type=float, help="For so long; without it for ever.")
@click.option("--off", is_flag=True, help="Not any more.")
@json_option
@pass_app
def mute(app: App, recipient: str, hours: float | None, off: bool, as_json: bool) -> None:
    """Tell DEVICE nothing for a while, or for ever."""
    found = _find(app, recipient)
    until = None if off else FOREVER if hours is None else round((time.time() + hours * 3600) * 1000)
    rules = msgspec.structs.replace(found.rules, muted_until=until)
    changed = app.ask(RecipientView, "recipient.update", UpdateRecipient(recipient_id=found.id, rules=rules))
    if as_json:
        emit(changed)


@notify.command("log")
@click.option("--recipient", help="Of this recipient only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True)
@json_option
@pass_app
def log(app: App, recipient: str | None, limit: int, as_json: bool) -> None:
    """Show what was told to whom, and what was not and why; newest first."""
    order = ListNotices(limit=limit, recipient_id=_find(app, recipient).id if recipient else None)
    notices = msgspec.convert(app.call("notification.log", order)["notices"], list[NoticeView])
    if as_json:
        emit({"notices": notices})
        return
    rows = [("WHEN", "DEVICE", "WHAT", "FATE", "")]
    for notice in notices:
        fate = "shown" if notice.shown_at else "received" if notice.received_at else notice.state
        when = ago(notice.at, time.time())
        rows.append((when, notice.recipient_name, printable(notice.title, 60), fate, printable(notice.reason, 60)))
    table(rows)


def _recipients(app: App) -> list[RecipientView]:
    found = app.call("recipient.list")["recipients"]
    return msgspec.convert(found, list[RecipientView])


def _find(app: App, word: str) -> RecipientView:
    """The recipient of this name or id. Raise NotFound, InvalidRequest."""
    recipients = _recipients(app)
    exact = [recipient for recipient in recipients if word in (recipient.id, recipient.name)]
    found = exact or [
        recipient for recipient in recipients if recipient.id.startswith(word) or recipient.name.startswith(word)
    ]
    if not found:
        raise NotFound(
            f"There is no recipient {word!r}. `pilotlight notify list` shows all.", code="recipient_not_found"
        )
    if len(found) > 1:
        names = ", ".join(recipient.id for recipient in found)
        raise InvalidRequest(f"{word!r} is not unique: {names}.", code="ambiguous_recipient")
    return found[0]
