"""A file that Claude or its hooks go on writing, read line by line from an offset that is kept in the database.

Whole lines only (a transcript's last line may be half written: seen), so what was said while nobody listened is read once.
What must not regress: no file of another's making is waited for, followed elsewhere, or read without a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import BinaryIO

from shared.foreign_file import Unreadable, odd, open_foreign, past_hole

READ_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that is read, images and all; a longer one is passed over."""

_LINE_END = re.compile(rb"[\n\0]")


@dataclass(frozen=True)
class Line:
    """One whole line, and the offset behind it."""

    end: int
    data: bytes


class Tail:
    """A growing file, read line by line from an offset. A file that shrank or vanished is read from its start again.

    `trouble` says why it cannot be read as it is: it is no file, or has a line that is longer than `longest`, which is then
    passed over. `behind`: the last reading stopped before the end. `at_once`: how many bytes are read in one go.
    """

    def __init__(self, path: Path, offset: int = 0, longest: int = MAX_LINE_BYTES, at_once: int | None = None) -> None:
        self.path = path
        self.offset = offset
        self.trouble: str | None = None
        self.behind = False
        self._longest = longest
        self._at_once = at_once or READ_BYTES
        self._size = -1
        self._passing = False

    def again(self, offset: int) -> None:
        """Read once more from here: what was handed out could not be kept."""
        self.offset, self._size, self._passing = offset, -1, False

    def changed(self) -> bool:
        """Whether there may be something new; one stat call."""
        try:
            seen = os.lstat(self.path)
        except OSError:
            return False
        if reason := odd(seen.st_mode):
            self.trouble = reason
            return False
        if seen.st_size < self.offset:
            self.offset, self._passing = 0, False
        return seen.st_size > self.offset and (self.behind or seen.st_size != self._size)

    def lines(self, most: float = inf) -> Iterator[Line]:
        """The whole lines behind the offset, which moves as each is handed out; about so many bytes of them."""
        self.behind = False
        while True:
            before = self.offset
            try:
                with open_foreign(self.path) as file:
                    self._size = os.fstat(file.fileno()).st_size  # before: what is written meanwhile is news
                    block = self._block(file)
            except Unreadable as error:
                self.trouble = error.reason
                return
            except OSError:
                return
            yield from self._whole_lines(block)
            most -= len(block) or self._at_once
            if self.offset == before or 0 < len(block) < self._at_once:
                return
            if most <= 0:
                self.behind = True
                return

    def _whole_lines(self, block: bytes) -> Iterator[Line]:
        base, position, cut = self.offset, 0, block.rfind(b"\n")
        while position <= cut:
            end = block.index(b"\n", position)
            line = block[position:end]
            if b"\0" in line:  # half a line, and what was written behind a hole
                line = line[line.rindex(b"\0") + 1 :]
            position = end + 1
            self.offset = base + position
            if line.strip():
                yield Line(self.offset, line)

    def _block(self, file: BinaryIO) -> bytes:
        """What stands behind the offset, with a whole line at least if there is one; nothing when the offset was moved over what
        is no line: bytes that nobody has written (a hole, or what a power cut leaves), or one that is too long."""
        file.seek(self.offset)
        block = file.read(max(1, min(self._at_once, self._size - self.offset)))  # room is made for all that may come
        unwritten = len(block) - len(block.lstrip(b"\0"))
        if unwritten:
            self._passing = False
            behind = self.offset + unwritten
            self.offset = behind if unwritten < len(block) else past_hole(file, behind)
            return b""
        if not self._passing and (b"\n" in block or len(block) < min(self._at_once, self._longest)):
            return block
        if not self._passing and b"\0" not in block:
            block += file.readline(max(0, self._longest - len(block)))
            if block.endswith(b"\n") or len(block) < self._longest:
                return block
            self.trouble = f"it has a line of more than {self._longest // 1024} kB"
        end = _LINE_END.search(block)
        self._passing = end is None
        self.offset += len(block) if end is None else end.end() if end.group() == b"\n" else end.start()
        return b""
