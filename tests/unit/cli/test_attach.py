"""What an attached person sees of what pilotlight has to say, on a pty and an emulator, with a supervisor that is a socket."""

from __future__ import annotations

import os
import pty
import socket
import termios
import threading
from pathlib import Path

from pyghostty import Terminal

from cli.terminal.attach import Attachment
from cli.terminal.keyboard import DEFAULT_PREFIX, Keyboard, prefix_byte
from cli.terminal.tty import Tty
from shared.bus import terminal_protocol as protocol
from tests.harness import until

SIZE = (24, 80)
WELCOME = {
    "type": "welcome",
    "state": "idle",
    "live": True,
    "waiting": None,
    "reason": None,
    "writer": {"actor": "somebody", "since": 0},
    "you": False,
}


def test_a_notice_stands_again_behind_what_the_session_draws_over_it(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "terminal.sock"))
    listener.listen()
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, SIZE)
    waker, wakeup = socket.socketpair()
    attachment = Attachment(
        str(tmp_path / "terminal.sock"), "s", write=True, keyboard=Keyboard(prefix_byte(DEFAULT_PREFIX))
    )

    def attend() -> None:
        with Tty(slave, slave) as terminal:
            attachment.run(terminal, wakeup)

    person = threading.Thread(target=attend, daemon=True)
    person.start()
    screen = Terminal(cols=SIZE[1], rows=SIZE[0])
    os.set_blocking(master, False)

    def shown() -> str:
        try:
            screen.feed(os.read(master, 1 << 16))
        except BlockingIOError:
            pass
        return str(screen.contents())

    supervisor, _ = listener.accept()
    try:
        supervisor.sendall(protocol.control(WELCOME))
        until(lambda: "somebody has the keyboard" in shown(), "the notice")
        supervisor.sendall(protocol.output(0, b"\x1b[24;1Hdrawn over it\x1b[K\x1b[1;1Hdrawn above"))
        until(lambda: "drawn above" in shown(), "the session has drawn")
        until(lambda: "somebody has the keyboard" in shown(), "the notice again")
        assert "drawn over it" not in shown()
    finally:
        os.write(master, b"\x1dd")
        person.join(30)
        for end in (supervisor, listener, waker, wakeup):
            end.close()
        os.close(master)
        os.close(slave)
    assert not person.is_alive()
