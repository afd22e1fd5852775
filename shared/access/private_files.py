"""Small files with secrets in them: private (0600), complete or not there at all, changed by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from shared.errors import Unavailable
from shared.foreign_file import read_foreign

R = TypeVar("R", bound=Struct)

MAX_BYTES = 16 * 1024 * 1024

Stamp = tuple[int, int, int]
"""What differs when a file was changed or replaced."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of this file, whose mode is put right on the way. Raise OSError when it is not there."""
    seen = path.stat()
    if seen.st_mode & 0o077:
        path.chmod(0o600)
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def content_of(path: Path) -> bytes:
    """What this file holds. Raise OSError when it is none, or longer than one of ours can be."""
    return read_foreign(path, MAX_BYTES, follow=True)


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


def write_json(path: Path, content: Struct) -> None:
    """Replace this file by the JSON of `content`. Raise OSError."""
    body = msgspec.json.format(msgspec.json.encode(content), indent=2)
    with draft_of(path, body + b"\n") as draft:
        os.replace(draft, path)


class RecordFile(Generic[R]):
    """Records of one kind in a JSON file, found by a key of theirs. Finding is cheap and safe from every thread, as the file is
    now; a file that cannot be read holds nobody, so that what was revoked does not live on. Changing is for one process at a
    time.

    `shape` is the struct of the whole file, `member` names its list, `noun` what is in it, for people and for error codes.
    """

    def __init__(self, path: Path, shape: type[Any], member: str, noun: str, key: Callable[[R], str]) -> None:
        self._path, self._shape, self._member, self._noun, self._key = path, shape, member, noun, key
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._by_key: dict[str, R] = {}

    def find(self, key: str) -> R | None:
        """The record with this key."""
        with self._lock:
            self._refresh()
            return self._by_key.get(key)

    def records(self) -> list[R]:
        """All of them. Raise Unavailable when the file is damaged."""
        try:
            found: list[R] = getattr(msgspec.json.decode(content_of(self._path), type=self._shape), self._member)
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(
                f"{self._path} cannot be read ({error}): put it right, or remove it and make the {self._noun}s again.",
                code=f"{self._noun}_unreadable".replace(" ", "_"),
            ) from None
        return found

    def change(self, change: Callable[[list[R]], list[R]]) -> None:
        """Replace the records by what `change` makes of them. Raise Unavailable when they cannot be written."""
        try:
            with exclusive(self._path):
                write_json(self._path, self._shape(**{self._member: change(self.records())}))
        except OSError as error:
            raise Unavailable(
                f"The {self._noun}s cannot be written to {self._path}: {error.strerror}.",
                code=f"{self._noun}_unwritable".replace(" ", "_"),
            ) from error

    def _refresh(self) -> None:
        try:
            stamp: Stamp | None = stamp_of(self._path)
        except OSError:
            stamp = None
        if stamp is not None and stamp == self._stamp:
            return
        self._stamp, self._by_key = stamp, {}
        with contextlib.suppress(Unavailable):  # fail closed; whoever lists them is told what is wrong
            self._by_key = {self._key(record): record for record in self.records()} if stamp else {}
