"""`pilotlight chat`: a conversation at the prompt.

Every line is a message, whatever it says. Ctrl-C interrupts the turn, Ctrl-D leaves; the session stays either way. What
Claude asks is shown with its choices and answered in place.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time

import click

from cli.commands.attention import answer_of
from cli.commands.follow import Ended, follow
from cli.commands.sessions import CREATE_SECONDS, absolute, create, tell_changes
from cli.context import KEYS_SECONDS, App, pass_app
from cli.output import DONE, printable, safe_text, say, short_path, state_text, waiting_lines
from shared.bus.messages import MessageView, Sent, SessionView, Waiting
from shared.bus.operations import Answer, CreateSession, SendMessage, SessionRef
from shared.errors import InvalidRequest, PilotlightError

FOREVER_SECONDS = 7 * 86400.0
_HISTORY_LINES = 2000


@click.command()
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--project", type=click.Path(), help="The folder to talk about (default: this one).")
@click.option("--trust", is_flag=True, help="Answer Claude's question whether you trust the folder with yes.")
@pass_app
def chat(app: App, session_id: str | None, project: str | None, trust: bool) -> int:
    """Talk to a session: ID, or the latest one of this folder, or a new one."""
    view = app.session(session_id) if session_id else _latest_or_new(app, absolute(project or "."), trust)
    _load_history(app)
    click.echo(f"Session {view.id[:8]} in {short_path(view.project_path)} ({state_text(view)}).")
    click.echo("Ctrl-C interrupts a turn, Ctrl-D leaves; the session stays.")
    while True:
        try:
            _answer_waiting(app, view.id)
            text = _read("> ")
        except EOFError:
            click.echo("")
            return DONE
        except KeyboardInterrupt:
            click.echo("\n(Ctrl-D leaves)")
            continue
        if not text.strip():
            continue
        try:
            sent = app.ask(Sent, "message.send", SendMessage(text=text, session_id=view.id))
            tell_changes(sent.message)
            _attend(app, sent.message)
        except PilotlightError as error:
            say(f"pilotlight: {error.message}", err=True)


def _latest_or_new(app: App, project: str, trust: bool) -> SessionView:
    real = os.path.realpath(project)
    for view in app.sessions():
        if os.path.realpath(view.project_path) == real:
            return view
    if not trust and sys.stdin.isatty():
        click.echo(f"A new session in {short_path(project)}. Claude may read, and when allowed run, what is in there.")
        trust = click.confirm("Do you trust this folder?", default=False)
    return create(app, CreateSession(project_path=project, trust=trust, wait=CREATE_SECONDS))


def _attend(app: App, message: MessageView) -> None:
    """Stay with one message until it has settled, answering what comes up on the way."""
    interrupted = False
    while True:
        try:
            with _Dots() as dots:
                end = follow(app, message, FOREVER_SECONDS, dots.tick)
            if end.settled:
                _tell(end)
                return
            _answer_waiting(app, message.session_id)
        except KeyboardInterrupt:
            if interrupted:  # a second one: stop watching, the message goes on
                click.echo("\nNot watching any longer; `pilotlight show` has the reply when it comes.")
                return
            interrupted = True
            click.echo("\nInterrupting …")
            app.call("session.interrupt", SessionRef(session_id=message.session_id), timeout=KEYS_SECONDS)
        except EOFError:
            click.echo("\nNot answered; it still waits.")
            return


def _tell(end: Ended) -> None:
    message = end.message
    if message.reply:
        click.echo(safe_text(message.reply).rstrip() + "\n")
    if message.error is not None:
        say(f"pilotlight: {message.error.message}", err=True)
    elif message.state != "answered":
        click.echo(f"({message.state})")


def _answer_waiting(app: App, session_id: str) -> None:
    """Ask the person as long as the session waits for one. Raise EOFError when the person leaves."""
    while (waiting := app.ask(SessionView, "session.get", SessionRef(session_id=session_id)).waiting) is not None:
        click.echo("")
        for line in waiting_lines(waiting):
            click.echo(line)
        try:
            app.call("session.answer", _ask(session_id, waiting), timeout=KEYS_SECONDS)
        except InvalidRequest as error:
            say(error.message)
        except PilotlightError as error:  # somebody else was first, or it is over: look again
            say(error.message)
            time.sleep(0.3)


def _ask(session_id: str, waiting: Waiting) -> Answer:
    if waiting.questions:
        answers: dict[str, str | list[str]] = {
            str(question.get("question", "")): _ask_question(question) for question in waiting.questions
        }
        return Answer(session_id=session_id, waiting_id=waiting.id, answers=answers)
    if not waiting.choices:
        return Answer(session_id=session_id, waiting_id=waiting.id, text=_read("Your answer: "))
    return answer_of(session_id, waiting, _read(f"Choose 1-{len(waiting.choices)}: ").strip())


def _ask_question(question: dict[str, object]) -> str:
    """A label, several labels (`1, 3`), or the person's own words."""
    click.echo(printable(str(question.get("question", "")), 200))
    options = question.get("options")
    labels = [str(option.get("label", "")) for option in options] if isinstance(options, list) else []
    for number, label in enumerate(labels, 1):
        click.echo(f"  {number}. {printable(label, 200)}")
    said = _read("Number, or your own words: ").strip()
    numbers = [part.strip() for part in said.split(",")]
    if all(part.isdecimal() and 1 <= int(part) <= len(labels) for part in numbers):
        return ", ".join(labels[int(part) - 1] for part in numbers)
    return said


def _read(prompt: str) -> str:
    return input(prompt)


def _load_history(app: App) -> None:
    """Line editing and a private history, where Python has readline and a person is typing."""
    if not sys.stdin.isatty():
        return
    with contextlib.suppress(ImportError):
        import readline

        file = app.paths.home / "chat_history"
        with contextlib.suppress(OSError):
            os.close(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
            readline.read_history_file(file)
        readline.set_history_length(_HISTORY_LINES)
        atexit.register(lambda: readline.write_history_file(file))


class _Dots:
    """`… 12 s` on a terminal while a reply is on its way; gone when it is there."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._live = sys.stdout.isatty()

    def __enter__(self) -> _Dots:
        self.tick()
        return self

    def tick(self) -> None:
        """Show the seconds."""
        if self._live:
            click.echo(f"\r… {time.monotonic() - self._start:.0f} s", nl=False)

    def __exit__(self, *_: object) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False)
