"""The commands about sessions and their messages: new, ls, send, message, show, kill."""

from __future__ import annotations

import base64
import mimetypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from cli.completion import session_argument
from cli.context import KEYS_SECONDS, App, json_option, pass_app
from cli.follow import Ended, follow
from cli.output import (
    DONE,
    FAILED,
    ago,
    complain,
    emit,
    health_text,
    planned_text,
    printable,
    put,
    safe_text,
    say,
    sessions_table,
    show_asked,
    state_text,
    tell_changes,
    until,
)
from cli.setup.progress import Step
from cli.wording import at_the_prompt
from shared.bus.message_requests import ListMessages, MessageRef, SendMessage
from shared.bus.messages import MAX_ATTACHMENT_BYTES, Attachment, MessageView, Sent, SessionView, Until
from shared.bus.session_requests import CreateSession, SessionRef, StopSession
from shared.errors import InvalidRequest, PilotlightError, TooLarge

CREATE_SECONDS = 20.0
STOP_SECONDS = 60.0
SEND_SECONDS = 30.0
_SHOWN_MESSAGES = 10
_Command = TypeVar("_Command", bound=Callable[..., Any])


def option_flags(command: _Command) -> _Command:
    """What `claude` can be started with, as options; all but `add_dirs` (a tuple) are None when not given."""
    for option in (
        click.option("--append-system-prompt", metavar="TEXT", help="As for `claude --append-system-prompt`."),
        click.option("--mcp-config", metavar="JSON", help="As for `claude --mcp-config`: JSON, or the path of a file."),
        click.option("--add-dir", "add_dirs", multiple=True, type=click.Path(), help="A folder more (several times)."),
        click.option("--effort", help="As for `claude --effort`."),
        click.option("--permission-mode", help="As for `claude --permission-mode`."),
        click.option("--model", help="As for `claude --model`."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("project", type=click.Path())
@click.option("--trust", is_flag=True, help="Answer Claude's question whether you trust this folder with yes.")
@click.option("--title", help="A name for people.")
@option_flags
@json_option
@pass_app
def new(app: App, /, project: str, trust: bool, title: str | None, as_json: bool, **options: Any) -> None:
    """Open a session in the folder PROJECT and print its id."""
    wanted = CreateSession(
        project_path=absolute(project),
        title=title,
        trust=trust,
        wait=CREATE_SECONDS,
        **{**options, "add_dirs": [absolute(folder) for folder in options["add_dirs"]]},
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
@session_argument
@click.argument("text")
@click.option(
    "--wait", type=click.FloatRange(0), help="Seconds to wait for the reply (default: api.wait_seconds; 0: none)."
)
@click.option(
    "--attach",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file for Claude to read (several times; 10 MB each).",
)
@click.option(
    "--until",
    type=click.Choice(["replied", "answered"]),
    default="answered",
    help="Wait for the whole text only, or (default) until Claude's transcript has it, with usage and tool calls.",
)
@click.option("--front", is_flag=True, help="Before the messages that wait.")
@click.option("--interrupt", is_flag=True, help="At once, ending the turn that runs.")
@click.option("--exact", is_flag=True, help="Refuse a text that would not arrive as it is, instead of changing it.")
@click.option("--key", help="Makes a repeat harmless: the same key is the same message.")
@json_option
@pass_app
def send(
    app: App,
    session_id: str,
    text: str,
    wait: float | None,
    files: tuple[Path, ...],
    until: Until,
    front: bool,
    interrupt: bool,
    exact: bool,
    key: str | None,
    as_json: bool,
) -> int:
    """Send TEXT (`-`: standard input) to the session ID and print the reply.

    What would not reach Claude as it is and is harmless (decomposed letters, invisible and control characters) is changed, and
    standard error says so; --exact refuses it instead.
    """
    seconds = app.config.api.wait_seconds if wait is None else wait
    order = SendMessage(
        text=sys.stdin.read() if text == "-" else text,
        session_id=app.session(session_id).id,
        attachments=[_attachment(file) for file in files],
        front=front,
        interrupt=interrupt,
        exact=exact,
        key=key,
    )
    sent = app.ask(Sent, "message.send", order, timeout=KEYS_SECONDS if order.interrupt else SEND_SECONDS)
    tell_changes(sent.message)
    if not seconds:
        if as_json:
            emit(sent)
        else:
            click.echo(sent.message.id)
            tell_held(sent.session)
        return DONE
    try:
        with Step("Waiting for the reply", brief=True) as step:
            end = follow(app, sent.message, seconds, step.tick, until)
            step.note(end.message.state)
    except (KeyboardInterrupt, PilotlightError):  # only the waiting is over: who sends it again has it done twice
        say(f"The message is accepted and goes its way: `pilotlight message {sent.message.id} --wait 60`.", err=True)
        raise
    if as_json:
        emit({"message": end.message, "session": end.session})
    return tell_end(end, quiet=as_json)


def _attachment(file: Path) -> Attachment:
    if file.stat().st_size > MAX_ATTACHMENT_BYTES:
        raise TooLarge(f"{file} is over {MAX_ATTACHMENT_BYTES // 1024 // 1024} MB.", code="attachment_too_large")
    kind = mimetypes.guess_type(file.name)[0]
    return Attachment(data=base64.b64encode(file.read_bytes()).decode(), name=file.name, mime_type=kind)


@click.command()
@click.argument("message_id", metavar="MESSAGE")
@click.option("--wait", type=click.FloatRange(0), default=0.0, help="Seconds to wait until it is settled.")
@json_option
@pass_app
def message(app: App, message_id: str, wait: float, as_json: bool) -> int:
    """Show how far MESSAGE (an id that `send --wait 0` printed) came, and print the reply."""
    found = app.ask(MessageView, "message.get", MessageRef(message_id=message_id), timeout=CREATE_SECONDS)
    end = follow(app, found, wait, lambda: None)
    if as_json:
        emit({"message": end.message, "session": end.session})
    return tell_end(end, quiet=as_json)


@click.command()
@session_argument
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
        ("model", view.model or "as Claude's settings say"),
        ("permissions", view.permission_mode or "as Claude's settings say"),
        ("created", ago(view.created_at)),
        ("active", ago(view.last_activity)),
        ("expires", until(view.expires_at) if view.expires_at else None),
        ("messages", f"{view.message_count}, {view.queue_length} in the queue"),
        ("held", at_the_prompt(view.held) if view.held else None),
        ("trouble", health_text(view)),
        *(("planned", planned_text(task)) for task in view.scheduled),
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
            say(at_the_prompt(message.error.message))


@click.command()
@session_argument
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
        while _trusts_by_itself(wanted, view) and time.monotonic() < deadline:
            time.sleep(0.1)
            step.tick()
            view = app.ask(SessionView, "session.get", SessionRef(session_id=view.id))
        step.note(state_text(view))
    return view


def _trusts_by_itself(wanted: CreateSession, view: SessionView) -> bool:
    """Whether what it waits for is answered without a person."""
    return (wanted.trust or view.trust) and view.waiting is not None and view.waiting.kind == "trust"


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


def tell_held(view: SessionView) -> None:
    """Say why the queue does not move, if so."""
    if view.held:
        complain(view.held)


def tell_end(end: Ended, quiet: bool = False) -> int:
    """Print what became of a message (only the exit code when `quiet`)."""
    message, view = end.message, end.session
    if end.has_come and message.error is None and message.state in ("answered", "submitted"):
        if not quiet:
            put(message.reply or "")
        return DONE
    if message.error is not None:
        told = message.error.message
    elif end.settled:
        told = f"The message was {message.state}."
    elif view.waiting is not None:
        told = (
            f"The session waits ({printable(view.waiting.title, 200)}): `pilotlight answer {view.id[:8]}` answers it."
        )
    else:
        why = f" {view.held}" if view.held else ""
        told = f"No reply yet; the message is {message.state}.{why} `pilotlight show {view.id[:8]}` will have it."
    complain(told)
    return FAILED


def tell_waiting(view: SessionView) -> None:
    """Say what a session waits for, and how to answer."""
    if view.waiting is not None:
        show_asked(view.id, view.waiting, err=True)


def absolute(project: str) -> str:
    """The folder as an absolute path; raise InvalidRequest when it is none."""
    path = Path(os.path.abspath(os.path.expanduser(project)))
    if not path.is_dir():
        raise InvalidRequest(f"{path} is not a directory: name an existing project folder.", code="bad_project_path")
    return str(path)
