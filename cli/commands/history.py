"""The commands of talking: search, history, export, usage, import, fork, queue, interrupt, command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.commands import conversations
from cli.commands.sessions import tell_held
from cli.completion import session_argument
from cli.completion import sessions as complete_sessions
from cli.context import KEYS_SECONDS, App, json_option, pass_app
from cli.output import (
    DONE,
    FAILED,
    ago,
    complain,
    emit,
    printable,
    put,
    safe_text,
    show_asked,
    table,
)
from cli.setup.progress import Step
from shared.bus.message_requests import (
    ConversationHistory,
    ExportRequest,
    HistoryRequest,
    ListMessages,
    MessageRef,
    MoveMessage,
    RunCommand,
    SearchRequest,
    UpdateMessage,
    UsageRequest,
)
from shared.bus.messages import CommandResult, HistoryEntry, MessageView, SessionView
from shared.bus.session_requests import ForkSession, SessionRef
from shared.errors import NotFound

READ_SECONDS = 30.0
START_SECONDS = 30.0
SEARCH_AGAIN_SECONDS = 0.5
_WHO = {"user": "you", "assistant": "claude", "command": "command", "system": "-"}


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--session", "session_id", metavar="ID", shell_complete=complete_sessions, help="Only in this session.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--wait", type=click.FloatRange(0), default=0.0, help="Seconds to wait until everything has been read.")
@json_option
@pass_app
def search(app: App, query: tuple[str, ...], session_id: str | None, limit: int, wait: float, as_json: bool) -> int:
    """Find words, or "phrases in quotes", in everything that was said in any session, or to `claude` elsewhere.

    A plus marks a conversation from elsewhere: `pilotlight import ID` goes on with it.
    """
    session = app.session(session_id).id if session_id else None
    wanted = SearchRequest(query=" ".join(query), limit=limit, session_id=session)
    result = app.call("search", wanted, timeout=READ_SECONDS)
    end = time.monotonic() + wait
    with Step("Reading transcripts", brief=True) as step:
        while not result["complete"] and time.monotonic() < end:
            step.tick()
            time.sleep(min(SEARCH_AGAIN_SECONDS, max(0.0, end - time.monotonic())))
            result = app.call("search", wanted, timeout=READ_SECONDS)
    if as_json:
        emit(result)
        return DONE
    for hit in result["hits"]:
        when = ago(hit["at"]) if hit.get("at") else ""
        where = f"{hit['sessionId'][:8]} " if hit["sessionId"] else f"{hit['conversationId'][:8]}+"
        click.echo(f"{where} {hit['role']:<9} {when:<12} {printable(hit['snippet'], 200)}")
    if not result["complete"]:
        click.echo("Older transcripts are still being read: ask again, or with --wait 60, for more.", err=True)
    return DONE if result["hits"] else FAILED


@click.command()
@session_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, from the end.")
@click.option("--before", help="The `next` of the page that follows.")
@json_option
@pass_app
def history(app: App, session_id: str, limit: int, before: str | None, as_json: bool) -> None:
    """Show what was said in the session ID, with tools, commands and what was typed at the terminal.

    ID may also be a conversation from elsewhere (`pilotlight import` lists them), which stays as it is.
    """
    page = _page(app, session_id, limit, before)
    if as_json:
        emit(page)
        return
    for entry in msgspec.convert(page["entries"], list[HistoryEntry]):
        when = ago(entry.at) if entry.at else ""
        click.echo(click.style(f"{_WHO[entry.role]} {when}", bold=True))
        if entry.text:
            click.echo(safe_text(entry.text))
        for call in entry.tool_calls:
            given = msgspec.json.encode(call["input"]).decode()
            failed = " (failed)" if call.get("isError") else ""
            click.echo(printable(f"  {call['name']}{failed} {given}", 160))
        if entry.output:
            click.echo(safe_text(entry.output))
    if page["next"]:
        click.echo(f"Earlier: pilotlight history {session_id} --before {page['next']}", err=True)


def _page(app: App, reference: str, limit: int, before: str | None) -> dict[str, Any]:
    try:
        session = app.session(reference)
    except NotFound:
        elsewhere = conversations.matching(app, reference)
        if len(elsewhere) != 1:
            raise
        asked = ConversationHistory(conversation_id=elsewhere[0]["id"], before=before, limit=limit)
        found: dict[str, Any] = app.call("conversation.history", asked, timeout=READ_SECONDS)
        return found
    wanted = HistoryRequest(session_id=session.id, before=before, limit=limit)
    return dict(app.call("history", wanted, timeout=READ_SECONDS))


@click.command()
@session_argument
@click.option("--format", "kind", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the terminal.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json (errors too).")
@pass_app
def export(app: App, session_id: str, kind: str, output: Path | None, as_json: bool) -> None:
    """Write the whole history of the session ID as Markdown or JSON."""
    kind = "json" if as_json else kind
    wanted = {"sessionId": app.session(session_id).id, "format": kind}
    request = msgspec.convert(wanted, ExportRequest)
    parts = _exported(app, request, app.call("export", request, timeout=READ_SECONDS))
    if output is None:
        for text in parts:
            put(text, end="")
    else:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(parts)
        click.echo(str(output), err=True)


def _exported(app: App, request: ExportRequest, part: dict[str, Any]) -> Iterator[str]:
    """The file, part by part."""
    yield part["text"]
    while after := part.get("next"):
        part = app.call("export", msgspec.structs.replace(request, after=after), timeout=READ_SECONDS)
        yield part["text"]


@click.command()
@click.option("--by", type=click.Choice(["day", "session"]), default="day", show_default=True)
@click.option("--session", "session_id", metavar="ID", shell_complete=complete_sessions, help="Only of this session.")
@json_option
@pass_app
def usage(app: App, by: str, session_id: str | None, as_json: bool) -> None:
    """Show how many tokens were used, by day or by session."""
    session = app.session(session_id).id if session_id else None
    result = app.call("usage", msgspec.convert({"by": by, "sessionId": session}, UsageRequest), timeout=READ_SECONDS)
    if as_json:
        emit(result)
        return
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    rows: list[tuple[str, ...]] = [(by.upper(), "REPLIES", "INPUT", "OUTPUT", "CACHE WRITES", "CACHE READS")]
    for row in result["rows"]:
        first = row["day"] if by == "day" else row["sessionId"][:8]
        rows.append((first, str(row["replies"]), *(f"{row['usage'][name]:,}" for name in names)))
    rows.append(("total", "", *(f"{result['total'].get(name, 0):,}" for name in names)))
    table(rows)


@click.command()
@session_argument
@click.option("--title", help="A name for people.")
@click.option("--before", metavar="ENTRY", help="As it was before this message of yours (its id in `history --json`).")
@json_option
@pass_app
def fork(app: App, session_id: str, title: str | None, before: str | None, as_json: bool) -> None:
    """Open a new session that goes on from where the session ID is, and print its id."""
    order = ForkSession(session_id=app.session(session_id).id, title=title, before=before)
    view = app.ask(SessionView, "session.fork", order, timeout=START_SECONDS)
    if as_json:
        emit(view)
    else:
        click.echo(view.id)


@click.command()
@session_argument
@click.option("--move", "moved", metavar="MESSAGE", help="Move this message ...")
@click.option("--to", "position", type=click.IntRange(0), default=0, show_default=True, help="... to this place.")
@click.option("--cancel", "cancelled", metavar="MESSAGE", help="Cancel this message.")
@click.option("--edit", "edited", metavar="MESSAGE", help="Give this message the text ...")
@click.option("--text", help="... that is given here.")
@json_option
@pass_app
def queue(
    app: App,
    session_id: str,
    moved: str | None,
    position: int,
    cancelled: str | None,
    edited: str | None,
    text: str | None,
    as_json: bool,
) -> None:
    """Show the messages that wait in the session ID; move, cancel or change one. The next to be sent has place 0."""
    if (edited is None) is not (text is None):
        raise click.UsageError("--edit and --text belong together.")
    session = app.session(session_id).id
    waiting = _waiting(app, session)
    if cancelled:
        app.call("message.cancel", MessageRef(message_id=_one(waiting, cancelled).id))
    if moved:
        app.call("message.move", MoveMessage(message_id=_one(waiting, moved).id, position=position))
    if edited and text is not None:
        app.call("message.update", UpdateMessage(message_id=_one(waiting, edited).id, text=text))
    if moved or cancelled or edited:
        waiting = _waiting(app, session)
    if as_json:
        emit({"messages": waiting})
        return
    tell_held(app.session(session))
    for place, message in enumerate(waiting):
        click.echo(f"{place:>3}  {message.id[:10]}  {printable(message.text, 100)}")


def _waiting(app: App, session: str) -> list[MessageView]:
    found: list[MessageView] = []
    after: str | None = None
    while True:
        page = app.call("message.list", ListMessages(session_id=session, state="queued", limit=1000, after=after))
        found += msgspec.convert(page["messages"], list[MessageView])
        after = page.get("next")
        if not after:
            break
    return sorted(found, key=lambda message: message.queue_position or 0)


def _one(waiting: list[MessageView], reference: str) -> MessageView:
    matches = [message for message in waiting if message.id.startswith(reference)]
    if len(matches) != 1:
        raise NotFound(f"{len(matches)} waiting messages begin with {reference!r}.", code="message_not_found")
    return matches[0]


@click.command()
@session_argument
@json_option
@pass_app
def interrupt(app: App, session_id: str, as_json: bool) -> None:
    """End the turn that runs in the session ID; the session lives on."""
    result = app.call("session.interrupt", SessionRef(session_id=app.session(session_id).id), timeout=KEYS_SECONDS)
    if as_json:
        emit(result)
    else:
        click.echo(f"interrupted ({result['rung']})" if result.get("rung") else "interrupted")


@click.command(context_settings={"ignore_unknown_options": True})
@session_argument
@click.argument("words", metavar="/COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--wait", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds to wait for it.")
@json_option
@pass_app
def command(app: App, session_id: str, words: tuple[str, ...], wait: float, as_json: bool) -> int:
    """Give the session ID a slash command, such as /compact, and print what it says."""
    text = " ".join(words)
    order = RunCommand(
        session_id=app.session(session_id).id, command=text if text[:1] == "/" else f"/{text}", wait=wait
    )
    result = app.ask(CommandResult, "session.command", order, timeout=wait + READ_SECONDS)
    if as_json:
        emit(result)
        return DONE if result.state == "answered" or result.waiting else FAILED
    if result.error is not None:
        complain(result.error.message)
    elif result.waiting is not None:
        show_asked(result.session.id, result.waiting)
        return DONE
    elif result.state == "answered":
        if result.output:
            click.echo(safe_text(result.output))
        return DONE
    else:
        click.echo(f"pilotlight: The command is {result.state}.", err=True)
    return FAILED


COMMANDS = (search, history, export, usage, fork, queue, interrupt, command)
