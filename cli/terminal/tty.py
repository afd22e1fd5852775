"""The person's own terminal while it shows a session: raw, on its alternate screen, and as it was when we leave.

The alternate screen keeps what the person had on the screen, and keeps the session from clearing their scrollback. What
the session does with its own alternate screen (an editor) is taken out of the stream: leaving it would leave ours.
"""

from __future__ import annotations

import os
import re
import termios
import tty
from contextlib import suppress

_ENTER = b"\x1b[?1049h\x1b[H\x1b[2J"
_LEAVE = (
    b"\x1b[0m\x1b[r\x1b(B\x0f"
    + b"".join(b"\x1b[?%dl" % mode for mode in (1, 5, 6, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 2004, 2026, 2031))
    + b"\x1b[?7h\x1b[4l\x1b>\x1b[>4;0m\x1b[<99u\x1b[0 q\x1b[?25h\x1b[?1049l"
)
"""Off with every mode that a program may have set, whether or not it has: nobody tells us which."""

_SCREENS = re.compile(rb"\x1b\[\?(?:1049|1047|47)[hl]")
_HALF_SCREEN = re.compile(rb"\x1b(?:\[(?:\?(?:1(?:0(?:4[79]?)?)?|47?)?)?)?$")
_CLEAR_HISTORY = re.compile(rb"\x1b\[3J")


class Cleaner:
    """Takes out of a session's output what is not for the person's own terminal."""

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to show, and whether the session has changed screens, so that it has to be drawn again."""
        data = self._half + data
        half = _HALF_SCREEN.search(data)
        self._half = data[half.start() :] if half else b""
        shown = data[: half.start()] if half else data
        cleaned, switches = _SCREENS.subn(b"", shown)
        return _CLEAR_HISTORY.sub(b"", cleaned), bool(switches)

    def reset(self) -> None:
        """Forget half a sequence: a whole drawing follows."""
        self._half = b""


class Tty:
    """Use as a context manager; `restore` may be called at any time, and more than once."""

    def __init__(self, keyboard: int, screen: int) -> None:
        self.keyboard, self.screen = keyboard, screen
        self._before: list[int | list[bytes | int]] | None = None

    def __enter__(self) -> Tty:
        try:
            self.take()
        except BaseException:
            self.restore()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def take(self) -> None:
        """Make it ours; also after we were stopped and continued, when the shell has made it its own."""
        if self._before is None:
            self._before = termios.tcgetattr(self.keyboard)
        tty.setraw(self.keyboard, termios.TCSANOW)
        self.write(_ENTER)

    def restore(self) -> None:
        """Give it back as it was. What the terminal has answered meanwhile is not left for the shell to read."""
        before, self._before = self._before, None
        if before is None:
            return
        with suppress(OSError):
            self.write(_LEAVE)
        with suppress(OSError, termios.error):
            termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, before)

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            size = os.get_terminal_size(self.screen)
        except OSError:
            return 0, 0
        return size.columns, size.lines

    def write(self, data: bytes) -> None:
        """All of it, however slowly the terminal takes it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.screen, view) :]

    def notice(self, text: str) -> None:
        """One line over the bottom of the screen, until something is drawn there."""
        cols, rows = self.size()
        if cols and rows:
            line = f" {text} "[: max(1, cols - 1)]
            self.write(f"\x1b7\x1b[{rows};1H\x1b[0;7m{line}\x1b[0m\x1b[K\x1b8".encode())
