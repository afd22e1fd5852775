"""`pilotlight attach` and `pilotlight watch`: a session's terminal in the person's own.

One loop over the keyboard, the supervisor's socket and the signals. What must not regress: whatever ends it (a key, an
exception, a signal, a supervisor that dies), the person's terminal is as it was before; a supervisor that dies and comes
back costs a notice and a redraw.
"""

from __future__ import annotations

import getpass
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from cli.completion import session_argument
from cli.context import App, pass_app
from cli.output import DONE, FAILED, printable
from cli.terminal.keyboard import DEFAULT_PREFIX, GUARDED, HELP, HINT, Keyboard, prefix_byte, prefix_name
from cli.terminal.scrollback import Scrollback
from cli.terminal.tty import Cleaner, Tty
from shared.bus import terminal_protocol as protocol
from shared.bus.messages import Screen, SessionView
from shared.bus.session_requests import ScreenRequest, SessionRef
from shared.errors import Conflict, InvalidRequest, PilotlightError
from shared.frames import BadFrame, Decoder, read_offset
from shared.private_folders import require_private

WAKE_SECONDS = 30.0
RETRY_SECONDS = 0.2
NOTICE_SECONDS = 4.0
WRITER_SECONDS = 15.0
"""How long it is told who has the keyboard: it stands over the last line of the session."""

NOTICE_CHARACTERS = 500
COVERED_SECONDS = 0.05
"""How long the session must have been quiet before a notice that it may have drawn over is shown again: then nothing of its
output, no sequence and no frame, is half written."""

STALL_SECONDS = 5.0
"""How long a supervisor may take nothing of what is typed before the connection counts as lost."""

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_OBSERVED = (*_ENDING, signal.SIGWINCH, signal.SIGCONT)
WATCH_HINT = "q leaves, [ scrolls back"
_LEAVES_A_WATCHER = (b"q", b"\x03", b"\x1b")


@click.command()
@session_argument
@click.option("--read-only", is_flag=True, help="Only look, as `pilotlight watch` does.")
@click.option(
    "--prefix", default=DEFAULT_PREFIX, show_default=True, help="The key before those that are for pilotlight."
)
@pass_app
def attach(app: App, session_id: str, read_only: bool, prefix: str) -> int:
    """Take the terminal of the session ID: see it, and type into it.

    Ctrl+] and then d detaches; the session goes on. Ctrl+] [ scrolls back, Ctrl+] s takes the keyboard from somebody else,
    Ctrl+] r draws the screen again, Ctrl+] ? shows these keys. A second Ctrl+C within two seconds would end Claude: it is kept
    back, and Ctrl+] Ctrl+C sends it. A session that sleeps is woken.
    """
    return _open(app, session_id, write=not read_only, prefix=prefix)


@click.command()
@session_argument
@pass_app
def watch(app: App, session_id: str) -> int:
    """Look at the terminal of the session ID without touching it. q leaves."""
    return _open(app, session_id, write=False, prefix=DEFAULT_PREFIX)


def _open(app: App, reference: str, *, write: bool, prefix: str) -> int:
    key = prefix_byte(prefix)
    if not os.isatty(0) or not os.isatty(1):
        raise InvalidRequest("This needs a terminal. `pilotlight show ID` works without one.", code="no_terminal")
    view = app.session(reference)
    if view.state == "ended":
        raise Conflict(f"The session has ended ({view.end_reason}).", code="session_ended")
    if view.pid is None and write:
        view = app.ask(SessionView, "session.wake", SessionRef(session_id=view.id), timeout=WAKE_SECONDS)
    attachment = Attachment(str(app.paths.terminal_socket), view.id, write, Keyboard(key), lambda: _past(app, view.id))
    with _signals() as wakeup, Tty(0, 1) as terminal:
        why = attachment.run(terminal, wakeup)
    click.echo(f"[{why}]")
    return attachment.status


def take(app: App, session_id: str) -> None:
    """Attach from within another command, and come back."""
    _open(app, session_id, write=True, prefix=DEFAULT_PREFIX)


def _past(app: App, session_id: str) -> list[str]:
    """What has scrolled away, and what is shown."""
    seen = app.ask(Screen, "session.screen", ScreenRequest(session_id=session_id, history=True))
    return seen.text.rstrip().split("\n")


class Attachment:
    """One person at one session, over as many connections as it takes."""

    def __init__(
        self, address: str, session: str, write: bool, keyboard: Keyboard, past: Callable[[], list[str]] = list
    ) -> None:
        self._address = address
        self._session = session
        self._write = write
        self._keyboard = keyboard
        self._past = past
        self._scrollback: Scrollback | None = None
        """What is looked at instead of the session."""

        self._cleaner = Cleaner()
        self._connection: socket.socket | None = None
        self._decoder = Decoder(protocol.MAX_FRAME)
        self._selector = selectors.DefaultSelector()
        self._retry_at = 0.0
        self._notice: str | None = None
        self._notice_until = 0.0
        self._covered_at: float | None = None
        """When the session last drew, since the notice was shown."""

        self._why: str | None = None
        self._state: dict[str, Any] = {}
        self._mine = False
        self.status = DONE

    def run(self, terminal: Tty, wakeup: socket.socket) -> str:
        """Stay until detached; return why it ended."""
        self._terminal = terminal
        self._selector.register(terminal.keyboard, selectors.EVENT_READ, self._typed)
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._signalled(wakeup.recv(64)))
        try:
            while self._why is None:
                self._keep_connected()
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                    if self._why is not None:
                        break
                self._tend_notice()
        except OSError as error:  # the terminal itself has gone
            self._end(f"the terminal is gone: {error.strerror}", FAILED)
        finally:
            self._hang_up()
            self._selector.close()
        return self._why or "detached"

    # -- the connection --------------------------------------------------------------------------------------------

    def _keep_connected(self) -> None:
        if self._connection is not None or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY_SECONDS
        require_private(Path(self._address).parent)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(STALL_SECONDS)
        try:
            connection.connect(self._address)
            cols, rows = self._terminal.size()
            hello = protocol.Hello(
                v=protocol.VERSION,
                session=self._session,
                mode="write" if self._write else "read",
                actor=_actor(),
                cols=cols,
                rows=rows,
                keyboard=self._mine or not self._state,  # who comes back has the keyboard only if he had it
            )
            connection.sendall(protocol.control(hello))
        except OSError:
            connection.close()
            self._say("The supervisor is away; the session goes on. Waiting for it to come back …", float("inf"))
            return
        self._connection, self._decoder = connection, Decoder(protocol.MAX_FRAME)
        self._cleaner.reset()
        self._selector.register(connection, selectors.EVENT_READ, self._received)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._selector.unregister(connection)
            connection.close()

    def _send(self, frame: bytes) -> None:
        if self._connection is None:
            return
        try:
            self._connection.sendall(frame)
        except OSError:
            self._hang_up()

    def _received(self) -> None:
        if self._connection is None:
            return
        try:
            data = self._connection.recv(1 << 18)
            frames = list(self._decoder.feed(data))
        except (OSError, BadFrame):
            data, frames = b"", []
        for kind, payload in frames:
            self._take(kind, payload)
        if not data:
            self._hang_up()

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind in (protocol.OUTPUT, protocol.SNAPSHOT) and self._scrollback is not None:
            return  # drawn anew when the person is back
        if kind == protocol.OUTPUT:
            shown, switched = self._cleaner.feed(read_offset(payload)[1])
            self._terminal.write(shown)
            self._covered_at = time.monotonic()
            if switched:
                self._send(protocol.control({"type": "snapshot"}))
        elif kind == protocol.SNAPSHOT:
            self._cleaner.reset()
            self._terminal.write(self._cleaner.feed(protocol.read_snapshot(payload)[1])[0])
            self._show_notice()
        elif kind == protocol.CONTROL:
            self._told(protocol.read_control(payload))

    def _told(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "welcome":
                self._notice = None
                if not self._state:
                    self._say((HINT if self._write else WATCH_HINT).format(prefix=self._prefix))
                self._told_state(message)
                self._told_writer(message)
            case "state":
                self._told_state(message)
            case "writer":
                self._told_writer(message)
            case "error" if not self._state:
                self._end(message["message"], FAILED)
            case "error":
                self._say(message["message"])

    def _told_state(self, message: dict[str, Any]) -> None:
        before, self._state = self._state.get("live"), message
        if message["state"] == "ended":
            self._end(f"the session has ended: {message['reason']}")
        elif not message["live"]:
            self._say(f"The session is {message['state']}: it has no process now.", float("inf"))
        elif before is False:
            self._notice = None

    def _told_writer(self, message: dict[str, Any]) -> None:
        if not self._write:
            return
        was, self._mine = self._mine, message["you"]
        writer = message["writer"]
        if not self._mine and writer is not None:
            taken = "has taken the keyboard" if was else "has the keyboard"
            self._say(f"{printable(writer['actor'], 60)} {taken}. {self._prefix} s takes it.", WRITER_SECONDS)
        elif self._mine and not was and self._notice is not None and "keyboard" in self._notice:
            self._notice = None

    # -- the person ------------------------------------------------------------------------------------------------

    def _typed(self) -> None:
        data = os.read(self._terminal.keyboard, 1 << 16)
        if not data:
            self._end("the terminal is gone", FAILED)
            return
        if self._scrollback is not None:
            self._scroll(data)
            return
        if not self._write and data == b"[":
            self._command("scroll")
            return
        if not self._write and data in _LEAVES_A_WATCHER:
            self._end("detached")
            return
        for item in self._keyboard.feed(data):
            if isinstance(item, str):
                self._command(item)
            elif self._scrollback is not None:  # the command before it in this read
                self._scroll(item)
            elif self._write:
                self._send(protocol.keys(item)) if self._connection is not None else self._terminal.write(b"\a")

    def _command(self, command: str) -> None:
        if command == "detach":
            self._end("detached")
        elif command == "help":
            self._say(HELP.format(prefix=self._prefix))
        elif command == "scroll":
            self._scroll(None)
        elif command.startswith("guarded "):
            self._say(GUARDED.format(key=command.removeprefix("guarded "), prefix=self._prefix))
        elif command == "redraw":
            self._send(protocol.control({"type": "snapshot"}))
        elif command == "steal" and self._write:
            self._send(protocol.control({"type": "steal"}))

    def _scroll(self, data: bytes | None) -> None:
        """Look back, or move there; None: begin."""
        if data is None:
            cols, rows = self._terminal.size()
            try:
                self._scrollback = Scrollback(self._past(), rows, cols)
            except PilotlightError as error:
                self._say(error.message)
                return
        elif self._scrollback is not None and self._scrollback.type(data):
            self._scrollback = None
            self._send(protocol.control({"type": "snapshot"}))
            return
        if self._scrollback is not None:
            self._terminal.write(b"\x1b[?25l" + self._scrollback.drawing())

    @property
    def _prefix(self) -> str:
        return prefix_name(self._keyboard.prefix)

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number in _ENDING:
                self._end(f"ended by {signal.Signals(number).name}", 128 + number)
            elif number == signal.SIGCONT:
                self._terminal.take()
        cols, rows = self._terminal.size()
        self._send(protocol.control({"type": "resize", "cols": cols, "rows": rows}))

    def _end(self, why: str, status: int = DONE) -> None:
        if self._why is None:
            self._why, self.status = printable(why, 300), status

    # -- the notice ------------------------------------------------------------------------------------------------

    def _say(self, text: str, seconds: float = NOTICE_SECONDS) -> None:
        self._notice = printable(text, NOTICE_CHARACTERS)
        self._notice_until = time.monotonic() + seconds
        self._show_notice()

    def _show_notice(self) -> None:
        if self._notice is not None and self._scrollback is None:
            self._terminal.notice(self._notice)
            self._covered_at = None

    def _tend_notice(self) -> None:
        now = time.monotonic()
        if self._notice is not None and now >= self._notice_until:
            self._notice = None
            self._send(protocol.control({"type": "snapshot"}))
        elif self._covered_at is not None and now >= self._covered_at + COVERED_SECONDS:
            self._show_notice()

    def _patience(self) -> float | None:
        due = [self._notice_until] if self._notice is not None and self._notice_until < float("inf") else []
        if self._notice is not None and self._covered_at is not None:
            due.append(self._covered_at + COVERED_SECONDS)
        if self._connection is None:
            due.append(self._retry_at)
        return max(0.0, min(due) - time.monotonic()) if due else None


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Signals as bytes on a socket, so that none of them interrupts a write to the terminal or skips the clean-up."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)

    def noted(_number: int, _frame: FrameType | None) -> None:
        """`set_wakeup_fd` has written the number."""

    handlers = {number: signal.signal(number, noted) for number in _OBSERVED}
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()


def _actor() -> str:
    name = "somebody"
    with suppress(OSError, KeyError):
        name = getpass.getuser()
    with suppress(OSError):
        name += f" at {os.ttyname(sys.stdin.fileno()).removeprefix('/dev/')}"
    return name
