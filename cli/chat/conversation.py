"""The conversation itself: what is typed is a message or a command, what Claude says is shown as it comes, what it asks is asked.

What must not regress: Ctrl-C interrupts the turn and loses nothing of it; leaving leaves the session alone; a supervisor
that restarts costs a second; and nothing that is asked elsewhere keeps anybody waiting here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import click

from cli.chat.display import Display
from cli.chat.person import Person, Superseded
from cli.chat.questions import answer, asks, declines
from cli.context import KEYS_SECONDS, App, Listener
from cli.output import complain, printable, safe_text, say, tell_changes
from cli.wording import at_the_prompt
from shared.bus.message_requests import MessageRef, RunCommand, SendMessage
from shared.bus.messages import SETTLED, CommandResult, MessageView, Sent, SessionView, Waiting
from shared.bus.session_requests import Answer, SessionRef
from shared.errors import InvalidRequest, PilotlightError, Unavailable

LISTEN_SECONDS = 0.1
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 15.0
LAST_WORD_SECONDS = 0.3
COMMAND_SECONDS = 120.0
REFUSALS = ("deny", "decline", "escape", "no")
"""What Ctrl-C stands for, where it is offered."""

HELP = """\
Enter sends. Alt+Enter, Ctrl+J, or a backslash at the end of a line begins another one; a pasted text is one message.
Ctrl-C ends the turn that runs, or declines what is asked; Ctrl-D leaves, and the session stays.
Ctrl-R searches what was typed before; Ctrl-X Ctrl-E opens your editor.
  /help    this
  /exit    leave, as Ctrl-D
  /attach  the session's own terminal
Other commands, such as /compact, /context or /model, are Claude's."""
OWN = ("/help", "/exit", "/quit", "/attach")
KNOWN = [*OWN, "/compact", "/context", "/cost", "/clear", "/model", "/memory", "/review", "/init"]
_COMMAND = re.compile(r"/[a-zA-Z][\w:.-]*(?=\s|$)")


class Leaving(Exception):
    """The person is done."""


class Conversation:
    """One session, talked to by one person."""

    def __init__(
        self, app: App, session_id: str, person: Person, listener: Listener, attach: Callable[[], None]
    ) -> None:
        self._app = app
        self._session = session_id
        self._person = person
        self._listener = listener
        self._attach = attach

    def run(self) -> None:
        """Until the person leaves."""
        while True:
            try:
                self._ask_person()
                text = self._person.text()
                if text.strip():
                    self._say(text)
            except (EOFError, Leaving):
                return
            except KeyboardInterrupt:
                click.echo("(Ctrl-D leaves)", err=True)
            except PilotlightError as error:
                complain(error.message)

    def _say(self, text: str) -> None:
        found = _COMMAND.match(text.strip())
        if found is None:
            self._attend(self._app.ask(Sent, "message.send", SendMessage(text=text, session_id=self._session)).message)
        elif found[0] in ("/exit", "/quit"):
            raise Leaving
        elif found[0] == "/help":
            click.echo(HELP)
        elif found[0] == "/attach":
            self._attach()
        else:
            self._command(text.strip())

    def _command(self, text: str) -> None:
        order = RunCommand(session_id=self._session, command=text, wait=COMMAND_SECONDS)
        result = self._app.ask(CommandResult, "session.command", order, timeout=COMMAND_SECONDS + 10)
        if result.error is not None:
            complain(result.error.message)
        elif result.output:
            click.echo(safe_text(result.output).rstrip() + "\n")
        elif result.state != "answered" and result.waiting is None:
            click.echo(f"({result.state})", err=True)

    # -- a turn ------------------------------------------------------------------------------------------------------

    def _attend(self, message: MessageView) -> None:
        """Stay with one message until it has settled, answering what comes up on the way."""
        tell_changes(message)
        while (session := self._session_now()).waiting is not None and message.state not in SETTLED:
            self._ask_person(session.waiting)
            message = self._message(message.id)
        display = Display(message.id)
        interrupted = False
        while True:
            pressed, message = self._watch(message, display)
            display.pause()
            if message.state in SETTLED:
                display.finish(message.reply)
                _tell(message)
                return
            try:
                if not pressed:
                    self._ask_person()
                elif interrupted:
                    click.echo("Not watching any longer; `pilotlight show` has the reply when it comes.", err=True)
                    return
                else:
                    interrupted = True
                    self._interrupt()
            except EOFError:
                click.echo("Not answered; it still waits.", err=True)
                return

    def _watch(self, message: MessageView, display: Display) -> tuple[bool, MessageView]:
        """Show what happens until the message has settled, something is asked, or Ctrl-C is pressed (then True)."""
        looked = heard = time.monotonic()
        with self._person.away() as pressed:
            while True:
                try:
                    event = self._listener.next_event(LISTEN_SECONDS)
                except KeyboardInterrupt:
                    return True, message
                if event is not None:
                    display.take(event)
                elif pressed():
                    return True, message
                display.tick()
                if event is not None and event.kind not in ("message", "waiting", "state"):
                    continue
                if event is None and time.monotonic() < looked + LOOK_SECONDS and message.state not in SETTLED:
                    continue
                looked = time.monotonic()
                try:
                    message, session = self._message(message.id), self._session_now()
                except KeyboardInterrupt:
                    return True, message
                except Unavailable:
                    if time.monotonic() > heard + PATIENCE_SECONDS:
                        raise
                    continue
                heard = time.monotonic()
                if message.state in SETTLED:
                    self._last_words(display)
                    return False, message
                if session.waiting is not None and not (session.trust and session.waiting.kind == "trust"):
                    return False, message

    def _last_words(self, display: Display) -> None:
        """What was said in the same moment as the end, maybe behind it."""
        end = time.monotonic() + LAST_WORD_SECONDS
        while time.monotonic() < end and (event := self._listener.next_event(LISTEN_SECONDS)) is not None:
            display.take(event)

    def _interrupt(self) -> None:
        click.echo("Interrupting …", err=True)
        try:
            self._app.call("session.interrupt", SessionRef(session_id=self._session), timeout=KEYS_SECONDS)
        except PilotlightError as error:
            complain(error.message)

    # -- questions ---------------------------------------------------------------------------------------------------

    def _ask_person(self, waiting: Waiting | None = None) -> None:
        """Ask as long as the session waits for somebody. Raise EOFError when the person leaves."""
        while (waiting := waiting or self._session_now().waiting) is not None:
            try:
                self._app.call("session.answer", self._asked(waiting), timeout=KEYS_SECONDS)
            except Superseded:
                click.echo("Answered elsewhere, or over.", err=True)
            except InvalidRequest as error:
                say(at_the_prompt(error.message))
            except PilotlightError as error:  # somebody else was first, or it is over: look again
                say(at_the_prompt(error.message))
                time.sleep(0.3)
            waiting = None

    def _asked(self, waiting: Waiting) -> Answer:
        said = []
        for ask in asks(waiting):
            click.echo("")
            for line in ask.lines:
                click.echo(line)
            try:
                text = self._person.answer(ask.prompt, lambda: self._is_over(waiting.id))
            except KeyboardInterrupt:
                refusal = next((choice.id for choice in waiting.choices if choice.id in REFUSALS), None)
                if refusal is None:
                    raise
                return Answer(session_id=self._session, waiting_id=waiting.id, choice=refusal)
            said.append((ask, text))
            if declines(waiting, ask, text):
                break
        return answer(self._session, waiting, said)

    def _is_over(self, waiting_id: str) -> bool:
        try:
            waiting = self._session_now().waiting
        except PilotlightError:
            return False
        return waiting is None or waiting.id != waiting_id

    def _session_now(self) -> SessionView:
        return self._app.ask(SessionView, "session.get", SessionRef(session_id=self._session))

    def _message(self, message_id: str) -> MessageView:
        return self._app.ask(MessageView, "message.get", MessageRef(message_id=message_id))


def _tell(message: MessageView) -> None:
    if message.error is not None:
        complain(message.error.message)
    elif message.state != "answered":
        click.echo(f"({printable(message.state, 40)})")
