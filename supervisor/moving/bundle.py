"""All of a session in one file, for another node: its record, its messages, its transcripts and its attachments.

The file is a tar archive, written and read in one pass, however long a transcript is; its manifest comes last, with the hash of
each other member. What must not regress: nothing is believed of a bundle that has not been read to its end; no name in one leads
out of the folder that it is put in; a transcript is never put over one that says something else.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from shared.errors import Conflict, InvalidRequest, StorageFailed
from shared.foreign_file import open_foreign
from supervisor import archive

VERSION = 1
MANIFEST = "manifest.json"
MESSAGES = "messages.jsonl"
TRANSCRIPTS, ATTACHMENTS = "transcripts", "attachments"
MOST_BESIDE = 64 * 1024 * 1024
"""How long a member may be that is read whole: the manifest, or one message."""

_BLOCK = 1 << 20


class Manifest(msgspec.Struct, rename="camel", kw_only=True):
    """What is in a bundle. `session` is the record as a row: its columns, and the JSON behind them."""

    version: int
    move: str
    word_hash: str
    node: str
    session: dict[str, Any]
    body: msgspec.Raw
    project_path: str
    session_dir: str
    positions: dict[str, int]
    keys: dict[str, msgspec.Raw]
    draft: str | None
    files: dict[str, str]


class _Hashed(io.RawIOBase):
    """Writes through, and knows the hash of all that was written."""

    def __init__(self, to: BinaryIO) -> None:
        self._to, self.hash = to, hashlib.sha256()

    def writable(self) -> bool:
        """For tarfile."""
        return True

    def write(self, data: Any) -> int:
        """All of it."""
        self.hash.update(data)
        return self._to.write(data)


def pack(target: Path, manifest: Manifest, messages: Iterable[bytes], sources: Iterable[tuple[str, Path]]) -> str:
    """Write a bundle, and return its digest. Raise StorageFailed."""
    making = target.with_suffix(".making")
    try:
        with open(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            hashed = _Hashed(raw)
            with tarfile.open(fileobj=hashed, mode="w|") as into:
                lines = b"".join(line + b"\n" for line in messages)
                _add(into, MESSAGES, io.BytesIO(lines), len(lines), manifest.files)
                for name, path in sources:
                    with open_foreign(path) as file:
                        _add(into, name, file, os.fstat(file.fileno()).st_size, manifest.files)
                said = msgspec.json.encode(manifest)
                _add(into, MANIFEST, io.BytesIO(said), len(said), {})
            raw.flush()
            os.fsync(raw.fileno())
        making.rename(target)
        return hashed.hash.hexdigest()
    except OSError as error:
        making.unlink(missing_ok=True)
        raise StorageFailed(f"The session cannot be packed: {error}.") from error


class _Reading:
    """Reads through, and knows the hash of all that was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.hash.update(data)
        return data


def _add(into: tarfile.TarFile, name: str, file: IO[bytes], size: int, files: dict[str, str]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    reading = _Reading(file)
    into.addfile(member, reading)
    files[name] = reading.hash.hexdigest()


def _members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=file, mode="r|") as opened:
        yield from archive.members(opened)
        for _ in iter(lambda: file.read(_BLOCK), b""):
            pass  # so that its digest is that of the whole file


def verify(path: Path) -> tuple[Manifest, str]:
    """Read a bundle from its beginning to its end: what it holds, and its digest. Raise InvalidRequest when it is not whole."""
    found: dict[str, str] = {}
    manifest: Manifest | None = None
    try:
        with open_foreign(path) as raw:
            whole = _Reading(raw)
            for name, content in _members(whole):  # type: ignore[arg-type]
                if name == MANIFEST:
                    manifest = msgspec.json.decode(content.read(MOST_BESIDE), type=Manifest)
                    continue
                reading = _Reading(content)
                while reading.read(_BLOCK):
                    pass
                found[name] = reading.hash.hexdigest()
    except (tarfile.TarError, EOFError, msgspec.MsgspecError) as error:
        raise damaged(str(error)) from error
    except OSError as error:
        raise StorageFailed(f"The bundle cannot be read: {error}.") from error
    if manifest is None or manifest.files != found:
        raise damaged("something is missing")
    if manifest.version != VERSION:
        raise InvalidRequest(
            f"The bundle is of version {manifest.version}, and this node understands {VERSION}. Bring both to one version of "
            "pilotlight.",
            code="bundle_version",
        )
    return manifest, whole.hash.hexdigest()


def damaged(why: str) -> InvalidRequest:
    """What is said of a bundle that is none."""
    return InvalidRequest(f"The bundle has not come as it was sent: {why}. Move again.", code="bundle_damaged")


def unpack(path: Path, target_of: Callable[[str], Path | None]) -> list[bytes]:
    """Put each file where `target_of` says, and return the messages. Raise Conflict for a transcript that says something else
    than the one that is there, and StorageFailed."""
    messages: list[bytes] = []
    try:
        with open_foreign(path) as file:
            for name, content in _members(file):
                if name == MESSAGES:
                    messages = content.read().splitlines()
                elif (target := target_of(name)) is not None:
                    _put(target, content)
    except (tarfile.TarError, EOFError) as error:
        raise damaged(str(error)) from error
    except OSError as error:
        raise StorageFailed(f"The bundle cannot be unpacked: {error}.") from error
    return messages


def check(path: Path, target_of: Callable[[str], Path | None]) -> None:
    """Raise Conflict for what `unpack` would refuse."""
    with open_foreign(path) as file:
        for name, content in _members(file):
            target = target_of(name)
            if target is not None and target.exists():
                _compare(target, content)


def _put(target: Path, content: IO[bytes]) -> None:
    """Beside it first, and then in its place: whoever reads it sees the old one or the new one."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    coming = target.with_name(f".{target.name}.coming")
    try:
        with open(os.open(coming, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w+b") as file:
            while data := content.read(_BLOCK):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            if target.exists():
                _compare(target, file)
        coming.replace(target)
    except BaseException:
        coming.unlink(missing_ok=True)
        raise


def _compare(there: Path, coming: IO[bytes]) -> None:
    """Raise Conflict unless what is there is the beginning of what is coming."""
    with open_foreign(there) as file:
        while known := file.read(_BLOCK):
            if coming.read(len(known)) != known:
                raise Conflict(
                    f"{there} holds something else than what is to come. Somebody has gone on with the conversation there: move "
                    "that file away, or fork the conversation.",
                    code="conversation_diverged",
                )
