"""Small files with secrets in them: private (0600), complete or not there at all, changed by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

Stamp = tuple[int, int, int]
"""What differs when a file was changed or replaced."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of this file, whose mode is put right on the way. Raise OSError when it is not there."""
    seen = path.stat()
    if seen.st_mode & 0o077:
        path.chmod(0o600)
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep every other process from changing this file meanwhile."""
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def draft_of(path: Path, content: bytes) -> Iterator[Path]:
    """A complete, private file beside `path`, gone at the end unless it was moved there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
