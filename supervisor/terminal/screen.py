"""What a person would see: the terminal emulator behind a small interface of our own.

The screen is derived state: it is rebuilt from the holder's ring whenever the supervisor starts, and when the emulator
fails (it is pre-1.0) it is thrown away and rebuilt, never trusted and never fatal. Sizes are clamped because the
emulator crashed below 10 x 3.
"""

from __future__ import annotations

import re

from supervisor.terminal import render
from supervisor.terminal.emulator import Terminal

MIN_COLUMNS, MAX_COLUMNS = 20, 500
MIN_ROWS, MAX_ROWS = 5, 200
HISTORY_LINES = 1000
_TITLE = re.compile(rb"\x1b\](?:0|2);([^\x07\x1b]{0,500})(?:\x07|\x1b\\)")


def clamp(cols: int, rows: int) -> tuple[int, int]:
    """The nearest size that the emulator stands."""
    return max(MIN_COLUMNS, min(MAX_COLUMNS, cols)), max(MIN_ROWS, min(MAX_ROWS, rows))


def history(output: bytes, cols: int, rows: int) -> str:
    """Everything that this output shows on a screen of this size, with what has scrolled away."""
    screen = Screen(cols, rows, keep_history=True)
    screen.feed(output)
    try:
        return screen.contents()
    finally:
        screen.close()


class Screen:
    """One terminal screen. `version` grows with every change of what it shows. What scrolls away is forgotten unless it is
    asked to be kept: 0.6 MB a session (measured), for something that the holder's ring can tell whenever it is wanted."""

    def __init__(self, cols: int, rows: int, keep_history: bool = False) -> None:
        self.cols, self.rows = clamp(cols, rows)
        self._scrollback = HISTORY_LINES if keep_history else 0
        self.version = 0
        self.title: str | None = None
        self._lines: tuple[int, list[str]] = (-1, [])
        self._terminal = self._fresh()

    def _fresh(self) -> Terminal:
        return Terminal(cols=self.cols, rows=self.rows, scrollback=self._scrollback)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.cols, self.rows

    def feed(self, data: bytes) -> None:
        """Take output of the child in."""
        self.version += 1
        for match in _TITLE.finditer(data):
            self.title = match.group(1).decode("utf-8", "replace")
        try:
            self._terminal.feed(data)
        except Exception:  # the emulator's boundary: any failure of it means a new screen
            self.reset()

    def reset(self) -> None:
        """Start with an empty screen; the child redraws at the next resize."""
        self.version += 1
        self._terminal = self._fresh()

    def resize(self, cols: int, rows: int) -> None:
        """Change the size, as the pty's was changed."""
        self.cols, self.rows = clamp(cols, rows)
        self.version += 1
        self._terminal.resize(self.cols, self.rows)

    def lines(self) -> list[str]:
        """The rows, right-trimmed."""
        if self._lines[0] != self.version:
            rows = self._terminal.text().split("\n")
            rows += [""] * (self.rows - len(rows))
            self._lines = (self.version, [row.rstrip() for row in rows])
        return self._lines[1]

    def text(self) -> str:
        """The visible screen as plain text."""
        return "\n".join(self.lines())

    def contents(self) -> str:
        """What has scrolled away, if it was kept, and the screen."""
        return str(self._terminal.contents())

    def draw(self, cols: int = 0, rows: int = 0) -> bytes:
        """Bytes that show this screen on another terminal; on a smaller one (`cols` x `rows`) what fits of it."""
        try:
            if cols and rows and (cols < self.cols or rows < self.rows):
                return render.cropped(self._terminal, cols, rows)
            return render.vt(self._terminal)
        except Exception:  # the emulator's boundary: without its formatter there is still the text
            return render.BLANK + "\r\n".join(self.lines()).encode()

    def html(self) -> str:
        """The visible screen as one HTML element."""
        return render.html(self._terminal)

    @property
    def between_sequences(self) -> bool:
        """Whether a drawing can be made now: the output does not end in the middle of a sequence."""
        return render.between_sequences(self._terminal)

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown, as by an editor."""
        return bool(self._terminal.mode(1049))

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row, from 0."""
        x, y = self._terminal.cursor
        return int(x), int(y)

    def is_faint(self, x: int, y: int) -> bool:
        """Whether the cell is drawn dim, as suggestions in an empty prompt box are."""
        try:
            style = self._terminal.style(x, y)
        except Exception:  # the emulator's boundary: a cell that cannot be read is not known to be dim
            return False
        return bool(style["faint"]) or style["fg"] in (("palette", 8), ("rgb", (153, 153, 153)))

    def close(self) -> None:
        """Free the emulator."""
        self._terminal.close()
