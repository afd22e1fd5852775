"""`pilotlight chat`: a conversation at the prompt.

What is typed is a message; what begins with a slash and a word is a command, of the prompt's own or of Claude's. Ctrl-C
interrupts the turn, Ctrl-D leaves; the session stays either way. What Claude asks is asked in place.
"""

from __future__ import annotations

import os
import sys

import click

from cli.commands.sessions import CREATE_SECONDS, absolute, create
from cli.context import App, pass_app
from cli.output import DONE, short_path, state_text
from shared.bus.messages import SessionView
from shared.bus.session_requests import CreateSession


@click.command()
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--project", type=click.Path(), help="The folder to talk about (default: this one).")
@click.option("--trust", is_flag=True, help="Answer Claude's question whether you trust the folder with yes.")
@pass_app
def chat(app: App, session_id: str | None, project: str | None, trust: bool) -> int:
    """Talk to a session: ID, or the latest one of this folder, or a new one.

    From a pipe, each line is a message. /help lists what the prompt understands.
    """
    from cli.chat.conversation import (  # the line editor takes a moment that other commands need not wait
        KNOWN,
        Conversation,
    )
    from cli.chat.person import whoever_types
    from cli.terminal.attach import take

    view = app.session(session_id) if session_id else _latest_or_new(app, absolute(project or "."), trust)
    click.echo(f"Session {view.id[:8]} in {short_path(view.project_path)} ({state_text(view)}).", err=True)
    if sys.stdin.isatty():
        click.echo("Ctrl-C interrupts a turn, Ctrl-D leaves, /help says more; the session stays.", err=True)
    person = whoever_types(app.paths.home / "chat_history", KNOWN)
    listener = app.listen(f"session.{view.id}.")
    try:
        with person.present():
            Conversation(app, view.id, person, listener, lambda: take(app, view.id)).run()
    finally:
        listener.close()
    return DONE


def _latest_or_new(app: App, project: str, trust: bool) -> SessionView:
    real = os.path.realpath(project)
    for view in app.sessions():
        if os.path.realpath(view.project_path) == real:
            return view
    if not trust and sys.stdin.isatty():
        told = f"A new session in {short_path(project)}. Claude may read, and when allowed run, what is in there."
        click.echo(told, err=True)
        trust = click.confirm("Do you trust this folder?", default=False, err=True)
    return create(app, CreateSession(project_path=project, trust=trust, wait=CREATE_SECONDS))
