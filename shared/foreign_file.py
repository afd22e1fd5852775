"""One way to read what others write: a file of Claude's, of a tool's, of a person's.

Whoever can write a file can put something else in its place: a pipe that nobody fills, a link to elsewhere, a socket, a file
of a terabyte. What must not regress: nothing here waits for another program, reads more than it was asked for, or follows a
link unless it was told to (a person's own settings may well be one); what cannot be read so is Unreadable and says why, for
whoever has to put it right.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

SMALL = 4 * 1024 * 1024
"""More than a settings, status or key file ever holds."""

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_STEP = 1 << 20
_PART_BYTES = 65536
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Unreadable(OSError):
    """There is something, but no file that can be read; `reason` says what it is instead."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))
        self.reason = reason


def odd(mode: int) -> str | None:
    """Why something with this `st_mode` is not read; None for a file."""
    if stat.S_ISREG(mode):
        return None
    return f"it is {next((name for test, name in _KINDS if test(mode)), 'no file')}, not a file"


def open_foreign(path: str | Path, follow: bool = False) -> BinaryIO:
    """The file, to be read. Raise Unreadable when it is none, or another OSError."""
    return cast(BinaryIO, os.fdopen(_open(path, follow), "rb"))


def _open(path: str | Path, follow: bool) -> int:
    seen = os.stat(path, follow_symlinks=follow)
    if reason := odd(seen.st_mode):  # before it is opened: that alone may wake or change a device, or a pipe's writer
        raise Unreadable(path, reason)
    try:
        descriptor = os.open(path, _FLAGS if follow else _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise Unreadable(path, "it is a link, not a file") from None
        raise
    if reason := odd(os.fstat(descriptor).st_mode):  # it was exchanged meanwhile
        os.close(descriptor)
        raise Unreadable(path, reason)
    return descriptor


def read_foreign(path: str | Path, most: int, follow: bool = False) -> bytes:
    """All of a file of at most so many bytes. Raise Unreadable when it is none or longer, or another OSError."""
    descriptor = _open(path, follow)
    try:
        size = os.fstat(descriptor).st_size
        data = b""
        while size <= most >= len(data) and (part := os.read(descriptor, max(size + 1 - len(data), _PART_BYTES))):
            data += part
    finally:
        os.close(descriptor)
    if size > most or len(data) > most:
        raise Unreadable(path, f"it is longer than {_human(most)}")
    return data


def read_end(path: str | Path, most: int) -> bytes:
    """The last so many bytes of a file. Raise Unreadable when it is none, or another OSError."""
    with open_foreign(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def past_hole(file: BinaryIO, offset: int) -> int:
    """Where behind this offset a file has bytes again that somebody has written; its end when nowhere."""
    try:
        return os.lseek(file.fileno(), offset, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(file.fileno()).st_size if error.errno == errno.ENXIO else offset


def before_hole(file: BinaryIO, offset: int) -> int:
    """Where before this offset somebody has written something, or a little behind that."""
    span = _STEP
    while offset > 0:
        start = max(0, offset - span)
        if past_hole(file, start) < offset:
            if span == _STEP:
                break
            span = _STEP
        else:
            offset, span = start, 2 * span
    return offset


def _human(size: int) -> str:
    return f"{size // 1024**2} MB" if size >= 1024**2 else f"{size // 1024} kB"
