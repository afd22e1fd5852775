"""What has scrolled away in an attached session, over the person's own terminal: keys in, a drawing out.

What must not regress: it touches nothing of the session, and whatever is typed here stays here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shared.plain_text import one_line

_UP = (b"\x1b[A", b"\x1bOA", b"k")
_DOWN = (b"\x1b[B", b"\x1bOB", b"j", b"\r")
_PAGE_UP = (b"\x1b[5~", b"\x02", b"b")
_PAGE_DOWN = (b"\x1b[6~", b"\x06", b" ")
_HOME = (b"\x1b[H", b"\x1b[1~", b"g")
_END = (b"\x1b[F", b"\x1b[4~", b"G")
_LEAVES = (b"q", b"\x1b", b"\x03", b"\x1d")
_KEY = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[@-~]|\x1b[\]P^_X].*?(?:\x07|\x1b\\|\Z)|.", re.DOTALL)
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"
HELP = "PgUp PgDn ↑ ↓ g G move · q goes back"


@dataclass
class Scrollback:
    """Some lines, seen through a window that begins at its end."""

    lines: list[str]
    rows: int
    cols: int
    top: int = field(init=False)
    _pasting: bool = False

    def __post_init__(self) -> None:
        self.lines = [line for text in self.lines for line in _cut(one_line(text), max(1, self.cols))]
        self.top = self._last

    @property
    def _page(self) -> int:
        return max(1, self.rows - 1)

    @property
    def _last(self) -> int:
        return max(0, len(self.lines) - self._page)

    def type(self, data: bytes) -> bool:
        """One read: as many keys as came at once. Whether the person wants to go back; what came behind that is dropped. What is
        pasted is no key, and may take several reads."""
        left = False
        for key in _KEY.findall(data):
            if key in (_PASTE, _PASTED):
                self._pasting = key == _PASTE
            elif not self._pasting and not left:
                left = self._key(key)
        return left and not self._pasting

    def _key(self, key: bytes) -> bool:
        if key in _LEAVES:
            return True
        for keys, by in ((_UP, -1), (_DOWN, 1), (_PAGE_UP, -self._page), (_PAGE_DOWN, self._page)):
            if key in keys:
                self.top += by
        if key in _HOME:
            self.top = 0
        if key in _END:
            self.top = self._last
        self.top = max(0, min(self.top, self._last))
        return False

    def drawing(self) -> bytes:
        """The window, and a line that says where it is."""
        shown = self.lines[self.top : self.top + self._page]
        rows = "".join(f"\x1b[{row};1H{line}\x1b[K" for row, line in enumerate(shown, 1))
        seen = min(len(self.lines), self.top + self._page)
        told = f" {seen}/{len(self.lines)} · {HELP} "[: max(1, self.cols - 1)]
        return f"\x1b[0m\x1b[2J{rows}\x1b[{self.rows};1H\x1b[7m{told}\x1b[0m\x1b[K".encode()


def _cut(line: str, width: int) -> list[str]:
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]
