"""Who is told that a file has grown, instead of looking at it every few milliseconds: inotify, one descriptor for all sessions.

A look at a session costs some tenths of a millisecond; two hundred a second were a fifth of a core for each one that streams.
What must not regress: nothing depends on being told. Where the kernel cannot tell (another system, no watch left), or the file is
not there yet, or another stands in its place, `follow` says so, and whoever asks goes on looking by itself, as often as before.
That another stands in its place the kernel tells, unless a folder was moved: that is looked for now and then, not at each look.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_MODIFY, _ATTRIB, _DELETE_SELF, _MOVE_SELF, _OVERFLOW = 0x2, 0x4, 0x400, 0x800, 0x4000
_DONT_FOLLOW = 0x02000000
_NEWS = _MODIFY | _ATTRIB | _DELETE_SELF | _MOVE_SELF | _DONT_FOLLOW
"""A file that has grown, or that may not be what its name leads to any more: a name less is told as an attribute."""

_RENAMED = _ATTRIB | _DELETE_SELF | _MOVE_SELF
SURE_SECONDS = 0.5
"""How long a name is taken to lead to the same file while nothing else was told."""

_EVENT = struct.Struct("iIII")
_READ_BYTES = 65536


class FileNews:
    """The files of all sessions. `told` gets the owner of a file that has changed. Used from one loop only."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._followed: dict[str, dict[Path, int]] = {}
        self._owners: dict[int, set[str]] = {}
        self._sure: dict[str, tuple[list[Path | None], float]] = {}
        """Of whom all files were found followed, and until when (monotonic) that is taken to be so."""

        self._libc: ctypes.CDLL | None = None
        self._fd = -1

    def open(self) -> None:
        """Begin, in the running loop. Where that is not possible, nothing is ever followed."""
        if sys.platform != "linux":
            return
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        """Follow nothing any more."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
        self._fd = -1
        self._followed.clear()
        self._owners.clear()
        self._sure.clear()

    def follow(self, owner: str, paths: Sequence[Path | None]) -> bool:
        """Have the owner told of the files that have these names now, and of no others; whether that was so already, so that what
        has changed since it looked was told. None stands for a file that is not known yet."""
        if self._fd < 0:
            return False
        wanted, (known, until), now = list(paths), self._sure.get(owner, ([], 0.0)), time.monotonic()
        if wanted == known and now < until:
            return True
        complete = self._follow(owner, paths)
        self._sure[owner] = (wanted, now + SURE_SECONDS if complete else 0.0)
        return complete

    def _follow(self, owner: str, paths: Sequence[Path | None]) -> bool:
        followed = self._followed.setdefault(owner, {})
        for path in [path for path in followed if path not in paths]:
            self._leave(owner, followed.pop(path))
        complete = None not in paths
        for path in filter(None, paths):
            before, now = followed.pop(path, -1), self._watch(path)
            if now >= 0:
                followed[path] = now
                self._owners.setdefault(now, set()).add(owner)
            if before not in (now, -1):  # another file has the name: it is not told when its folder is moved
                self._leave(owner, before)
            complete = complete and 0 <= now == before
        return complete

    def forget(self, owner: str) -> None:
        """Tell this one nothing any more."""
        self._sure.pop(owner, None)
        for watch in self._followed.pop(owner, {}).values():
            self._leave(owner, watch)

    def _watch(self, path: Path) -> int:
        """The kernel's number for the file that has this name now, always the same for the same one; negative when there is
        none, or no watch is left."""
        assert self._libc is not None
        return int(self._libc.inotify_add_watch(self._fd, os.fsencode(path), _NEWS))

    def _leave(self, owner: str, watch: int) -> None:
        """The kernel counts a file once, whoever follows it; it may have ended the watch by itself."""
        owners = self._owners.get(watch, set())
        owners.discard(owner)
        if not owners and self._owners.pop(watch, None) is not None:
            assert self._libc is not None
            self._libc.inotify_rm_watch(self._fd, watch)

    def _read(self) -> None:
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self._fd, _READ_BYTES)
        told: set[str] = set()
        position = 0
        while position < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            owners = set(self._followed) if mask & _OVERFLOW else self._owners.get(watch, set())
            if mask & (_OVERFLOW | _RENAMED):
                for owner in owners:
                    self._sure.pop(owner, None)
            told |= owners
        for owner in told:
            self._told(owner)
