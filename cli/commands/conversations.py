"""`pilotlight import`: conversations that `claude` made elsewhere on this machine, listed and taken over, one or all of them."""

from __future__ import annotations

from typing import Any

import click

from cli.commands.sessions import absolute, create, tell_waiting
from cli.context import App, json_option, pass_app
from cli.output import DONE, FAILED, ago, complain, emit, printable, say, short_path, table
from shared.bus.message_requests import ListConversations
from shared.bus.messages import SessionView
from shared.bus.session_requests import CreateSession
from shared.errors import NotFound, PilotlightError, Unavailable

READ_SECONDS = 30.0
PAGE = 1000


@click.command("import")
@click.argument("conversation", metavar="[CONVERSATION]", required=False)
@click.option("--project", type=click.Path(), help="Only conversations that were held in this folder.")
@click.option("--all", "everything", is_flag=True, help="Take all of them over, asleep: their next message wakes them.")
@click.option("--trust", is_flag=True, help="Answer Claude's question whether you trust a folder with yes.")
@click.option("--asleep", is_flag=True, help="Start no process; the next message does.")
@click.option("--fork", is_flag=True, help="Go on in a copy, and leave the conversation as it is.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="List so many (0: all).")
@click.option("--title", help="A name for people.")
@json_option
@pass_app
def import_(
    app: App,
    conversation: str | None,
    project: str | None,
    everything: bool,
    trust: bool,
    asleep: bool,
    fork: bool,
    limit: int,
    title: str | None,
    as_json: bool,
) -> int:
    """Go on with a conversation that `claude` made elsewhere on this machine; without CONVERSATION list them.

    `pilotlight history CONVERSATION` shows one without taking it over.
    """
    folder = absolute(project) if project else None
    if everything:
        if conversation or fork or title:
            raise click.UsageError("--all goes with --project and --trust only.")
        return _take_all(app, others(app, folder), trust, as_json)
    if conversation is None:
        _list(others(app, folder), limit, as_json)
        return DONE
    matches = matching(app, conversation, folder)
    if len(matches) != 1:
        raise NotFound(
            f"{len(matches)} other conversations begin with {conversation!r}. `pilotlight import` lists them.",
            code="conversation_not_found",
        )
    order = CreateSession(
        project_path=matches[0]["projectPath"] or absolute("."),
        title=title,
        trust=trust,
        resume=matches[0]["id"],
        fork=fork,
        asleep=asleep,
        wait=20.0,
    )
    view = create(app, order)
    if as_json:
        emit(view)
        return DONE
    click.echo(view.id)
    tell_waiting(view)
    return DONE


def others(app: App, project: str | None = None) -> list[dict[str, Any]]:
    """All conversations from elsewhere, the newest first."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        wanted = ListConversations(project_path=project, limit=PAGE, after=after)
        page = app.call("conversations.list", wanted, timeout=READ_SECONDS)
        found += page["conversations"]
        after = page.get("next")
        if after is None:
            return found


def matching(app: App, reference: str, project: str | None = None) -> list[dict[str, Any]]:
    """Those whose ids begin so."""
    return [item for item in others(app, project) if item["id"].startswith(reference)]


def _take_all(app: App, found: list[dict[str, Any]], trust: bool, as_json: bool) -> int:
    """One after the other; what cannot be taken over is said, and the others go on."""
    taken: list[SessionView] = []
    failed: list[dict[str, Any]] = []
    for item in found:
        order = CreateSession(
            project_path=item["projectPath"] or absolute("."), trust=trust, resume=item["id"], asleep=True
        )
        try:
            taken.append(app.ask(SessionView, "session.create", order, timeout=READ_SECONDS))
        except Unavailable:
            raise
        except PilotlightError as error:
            failed.append({"id": item["id"], "error": error.message})
            if not as_json:
                complain(f"{item['id'][:8]}: {error.message}")
            continue
        if not as_json:
            click.echo(taken[-1].id)
    if as_json:
        emit({"sessions": taken, "failed": failed})
    else:
        say(f"{len(taken)} taken over, asleep{f'; {len(failed)} not' if failed else ''}.", err=True)
    return FAILED if failed else DONE


def _list(found: list[dict[str, Any]], limit: int, as_json: bool) -> None:
    shown = found[: limit or None]
    if as_json:
        emit({"conversations": shown})
        return
    if not found:
        click.echo("There are no other conversations.", err=True)
        return
    rows: list[tuple[str, ...]] = [("ID", "ACTIVE", "MESSAGES", "OPEN IN", "PROJECT", "ABOUT")]
    for item in shown:
        about = item["title"] or item["firstPrompt"] or ""
        open_in = f"pid {item['pid']}" if item["pid"] else "-"
        project = short_path(item["projectPath"] or "?")
        rows.append((item["id"][:8], ago(item["lastActivity"]), str(item["messages"]), open_in, project, about[:60]))
    table([tuple(printable(cell, 60) for cell in row) for row in rows])
    if len(shown) < len(found):
        click.echo(f"{len(shown)} of {len(found)}, the newest; --limit 0 lists all.", err=True)
