"""The commands about sessions: new, ls, send, show, kill."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.follow import Ended, follow
from cli.output import DONE, FAILED, ago, emit, printable, safe_text, sessions_table, state_text, waiting_lines
from cli.progress import Step
from shared.errors import InvalidRequest
from shared.messages import (
    CreateSession,
    ListMessages,
    MessageView,
    SendMessage,
    Sent,
    SessionRef,
    SessionView,
    StopSession,
)

CREATE_SECONDS = 20.0
STOP_SECONDS = 60.0
_SHOWN_MESSAGES = 10


@click.command()
@click.argument("project", type=click.Path())
@click.option("--trust", is_flag=True, help="Answer Claude's question whether you trust this folder with yes.")
@click.option("--title", help="A name for people.")
@click.option("--model", help="As for `claude --model`.")
@click.option("--permission-mode", help="As for `claude --permission-mode`.")
@json_option
@pass_app
def new(
    app: App,
    project: str,
    trust: bool,
    title: str | None,
    model: str | None,
    permission_mode: str | None,
    as_json: bool,
) -> None:
    """Open a session in the folder PROJECT and print its id."""
    wanted = CreateSession(
        project_path=absolute(project),
        title=title,
        trust=trust,
        model=model,
        permission_mode=permission_mode,
        wait=CREATE_SECONDS,
    )
    view = create(app, wanted)
    if as_json:
        emit(view)
        return
    click.echo(view.id)
    tell_waiting(view)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Ended sessions too.")
@json_option
@pass_app
def ls(app: App, everything: bool, as_json: bool) -> None:
    """List sessions, the most recently used first."""
    views = app.sessions(include_ended=everything)
    if as_json:
        emit({"sessions": views})
    elif views:
        sessions_table(views)
    else:
        click.echo("No sessions. `pilotlight new PROJECT` opens one.", err=True)


@click.command()
@click.argument("session_id", metavar="ID")
@click.argument("text")
@click.option(
    "--wait", type=click.FloatRange(0), help="Seconds to wait for the reply (default: api.wait_seconds; 0: none)."
)
@json_option
@pass_app
def send(app: App, session_id: str, text: str, wait: float | None, as_json: bool) -> int:
    """Send TEXT (`-`: standard input) to the session ID and print the reply."""
    seconds = app.config.api.wait_seconds if wait is None else wait
    message = sys.stdin.read() if text == "-" else text
    sent = app.ask(Sent, "message.send", SendMessage(text=message, session_id=app.session(session_id).id))
    if not seconds:
        if as_json:
            emit(sent)
        else:
            click.echo(sent.message.id)
        return DONE
    with Step("Waiting for the reply", brief=True) as step:
        end = follow(app, sent.message, seconds, step.tick)
        step.note(end.message.state)
    if as_json:
        emit({"message": end.message, "session": end.session})
    return tell_end(end, quiet=as_json)


@click.command()
@click.argument("session_id", metavar="ID")
@json_option
@pass_app
def show(app: App, session_id: str, as_json: bool) -> None:
    """Show one session and its latest messages."""
    view = app.session(session_id)
    messages = latest_messages(app, view.id)
    if as_json:
        emit({"session": view, "messages": messages})
        return
    rows: list[tuple[str, Any]] = [
        ("id", view.id),
        ("state", state_text(view) + (f" ({view.end_detail})" if view.end_detail else "")),
        ("project", view.project_path),
        ("title", view.title),
        ("conversation", view.conversation_id),
        ("claude", f"pid {view.pid}, {view.claude_version or 'version unknown'}" if view.pid else None),
        ("model", view.model),
        ("permissions", view.permission_mode),
        ("created", ago(view.created_at)),
        ("active", ago(view.last_activity)),
        ("messages", f"{view.message_count}, {view.queue_length} in the queue"),
        ("memory", f"{view.memory_bytes / 1e6:.0f} MB" if view.memory_bytes else None),
    ]
    for name, value in rows:
        if value:
            click.echo(f"{name:<13}{printable(str(value), 200)}")
    tell_waiting(view)
    for message in messages:
        click.echo(f"\n> {printable(message.text, 200)}   [{message.state}, {ago(message.created_at)}]")
        if message.reply:
            click.echo(safe_text(message.reply))
        if message.error:
            click.echo(message.error.message)


@click.command()
@click.argument("session_id", metavar="ID")
@json_option
@pass_app
def kill(app: App, session_id: str, as_json: bool) -> None:
    """End the session ID and its whole process tree. The conversation stays on disk."""
    view = app.session(session_id)
    with Step(f"Ending session {view.id[:8]}", brief=True) as step:
        result = app.call("session.kill", StopSession(session_id=view.id), timeout=STOP_SECONDS)
        step.note("ended")
    if as_json:
        emit(result)


def create(app: App, wanted: CreateSession) -> SessionView:
    """Open a session and wait until it is past its start, and past the trust dialog that `trust` answers."""
    deadline = time.monotonic() + CREATE_SECONDS
    with Step("Opening a session", brief=True) as step:
        view = app.ask(SessionView, "session.create", wanted, timeout=CREATE_SECONDS + 10)
        while (
            wanted.trust and view.waiting is not None and view.waiting.kind == "trust" and time.monotonic() < deadline
        ):
            time.sleep(0.1)
            step.tick()
            view = app.ask(SessionView, "session.get", SessionRef(session_id=view.id))
        step.note(state_text(view))
    return view


def latest_messages(app: App, session_id: str, count: int = _SHOWN_MESSAGES) -> list[MessageView]:
    """The last messages of a session, oldest first."""
    kept: list[MessageView] = []
    after: str | None = None
    while True:
        page = app.call("message.list", ListMessages(session_id=session_id, after=after))
        kept = (kept + msgspec.convert(page["messages"], list[MessageView]))[-count:]
        after = page.get("next")
        if not after:
            return kept


def tell_end(end: Ended, quiet: bool = False) -> int:
    """Print what became of a message (only the exit code when `quiet`)."""
    message, view = end.message, end.session
    if message.state == "answered":
        if not quiet:
            click.echo(safe_text(message.reply or "") if sys.stdout.isatty() else message.reply or "")
        return DONE
    if message.error is not None:
        told = message.error.message
    elif end.settled:
        told = f"The message was {message.state}."
    elif view.waiting is not None:
        told = f"The session waits: {printable(view.waiting.title, 200)}. `pilotlight answer {view.id[:8]}` answers it."
    else:
        told = f"No reply yet; the message is {message.state}. `pilotlight show {view.id[:8]}` will have it."
    click.echo(f"pilotlight: {told}", err=True)
    return FAILED


def tell_waiting(view: SessionView) -> None:
    """Say what a session waits for, and how to answer."""
    if view.waiting is None:
        return
    for line in waiting_lines(view.waiting):
        click.echo(line, err=True)
    click.echo(f"Answer with: pilotlight answer {view.id[:8]} --choice NUMBER", err=True)


def absolute(project: str) -> str:
    """The folder as an absolute path; raise InvalidRequest when it is none."""
    path = Path(os.path.abspath(os.path.expanduser(project)))
    if not path.is_dir():
        raise InvalidRequest(f"{path} is not a directory: name an existing project folder.", code="bad_project_path")
    return str(path)
