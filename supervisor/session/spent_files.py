"""Files that have said what they had to say, removed behind everything else: events of hooks, texts that were handed over.

A removal takes milliseconds where others write to the disk, and what was just heard would be told behind it. What must not
regress: nobody waits for it; what it leaves when the supervisor dies is never taken in again, since the position behind it was
stored before, and goes before the session's next process begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

TOGETHER_SECONDS = 0.05
"""How long they are collected: those of one moment go together."""

LEFT_SECONDS = 600.0
"""How old a file is that nobody has anything to do with, when no process of its session runs."""


class SpentFiles:
    """Of one session."""

    def __init__(self) -> None:
        self._files: list[Path] = []
        self._called = False

    def add(self, file: Path) -> None:
        """This one is needed no more: it goes a moment from now, beside the loop that runs."""
        self._files.append(file)
        if not self._called:
            with suppress(RuntimeError):  # there is none: `remove` does it
                asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._remove_beside)
                self._called = True

    def _remove_beside(self) -> None:
        files, self._files, self._called = self._files, [], False
        if files:
            asyncio.get_running_loop().run_in_executor(None, _remove, files)

    def remove(self) -> None:
        """Remove them now."""
        files, self._files = self._files, []
        _remove(files)


def remove_left(folder: Path) -> None:
    """Remove what a supervisor that died has left in a session's folder, none of whose processes runs. Raise OSError."""
    old = time.time() - LEFT_SECONDS
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            if file.lstat().st_mtime < old:
                file.unlink()


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)
