"""Files that are sent with a message: checked, named harmlessly, and beside the session before the message is accepted.

They lie in `<session>/attachments/<message id>/`, which the session's settings let Claude read without asking; the prompt
names them. What must not regress: a name never leaves its folder, hides or replaces another file; the type is what the
bytes say and not what the sender says; a message is accepted with all its files or with none, and what a crash leaves
between the two is swept at the next start. Files are written to `incoming` first and moved in one step.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.bus.messages import MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, Attachment
from shared.errors import InvalidRequest, PilotlightError, StorageFailed, TooLarge
from supervisor.claude.texts.prompts import check_prompt

MAX_NAME_BYTES = 120
FOLDER = "attachments"
INCOMING = "incoming"

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"PK\x07\x08", "application/zip"),
)
_ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
}
_TEXT_TYPES = re.compile(r"text/[a-z0-9.+-]{1,60}|application/(json|xml|yaml|toml|javascript|x-ndjson|x-sh)")
_ODD = re.compile(r"[^\w.()+@,= -]")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class Stored:
    """One file as it was kept; `name` is its base name, `size` in bytes."""

    name: str
    mime_type: str
    size: int

    def view(self, folder: Path) -> dict[str, object]:
        """As it is stored with the message and shown to clients."""
        return {"name": self.name, "mimeType": self.mime_type, "size": self.size, "path": str(folder / self.name)}


@dataclass(frozen=True)
class Staged:
    """All files of one message, on disk and synced, still without a message."""

    folder: Path
    files: tuple[Stored, ...]

    def move(self, session_dir: Path, message_id: str) -> Path:
        """Give them to their message, in one step. Raise StorageFailed."""
        target = session_dir / FOLDER / message_id
        try:
            for folder in (session_dir, target.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.rename(target)
            _sync(target.parent)
        except OSError as error:
            raise StorageFailed(f"The attachments cannot be stored: {error}.") from error
        return target

    def discard(self) -> None:
        """Remove what was not moved."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stage(home: Path, items: Sequence[Attachment]) -> Staged:
    """Decode, check and write the files of one message. Raise InvalidRequest, TooLarge or StorageFailed."""
    if len(items) > MAX_ATTACHMENTS:
        raise TooLarge(
            f"{len(items)} attachments; at most {MAX_ATTACHMENTS} go with one message.", code="too_many_attachments"
        )
    folder = home / INCOMING / uuid.uuid4().hex
    files: list[Stored] = []
    try:
        folder.mkdir(mode=0o700, parents=True)
        taken: set[str] = set()
        for number, item in enumerate(items, 1):
            data = decode(number, item)
            kind = sniff(data, item.mime_type)
            name = unused(fitting(safe_name(item.name), kind), taken)
            _write(folder / name, data)
            files.append(Stored(name, kind, len(data)))
        _sync(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageFailed(f"The attachments cannot be stored: {error}.") from error
    except PilotlightError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Staged(folder, tuple(files))


def decode(number: int, item: Attachment) -> bytes:
    """The bytes of one attachment. Raise TooLarge (413), or InvalidRequest when it is no base64 or not its stated size."""
    limit = f"Attachment {number} is over {MAX_ATTACHMENT_BYTES // 1024 // 1024} MB."
    if len(item.data) > (MAX_ATTACHMENT_BYTES + 2) // 3 * 4 + 4:
        raise TooLarge(limit, code="attachment_too_large")
    try:
        data = base64.b64decode(item.data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"Attachment {number} is not valid base64.", code="invalid_attachment") from None
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise TooLarge(limit, code="attachment_too_large")
    if item.size is not None and item.size != len(data):
        raise InvalidRequest(
            f"Attachment {number} has {len(data)} bytes, not the {item.size} that `size` says: it was cut on its way.",
            code="invalid_attachment",
        )
    return data


def sniff(data: bytes, stated: str | None = None) -> str:
    """The type that the bytes show; what the sender states only refines plain text."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    if _BINARY.search(data):
        return "application/octet-stream"
    base = (stated or "").split(";")[0].strip().lower()
    return base if _TEXT_TYPES.fullmatch(base) else "text/plain"


def safe_name(name: str) -> str:
    """A base name that neither leaves its folder nor hides, and that a prompt can carry."""
    base = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    base = _ODD.sub("_", base.strip()).strip(" ").lstrip(".").rstrip(". ")
    try:
        check_prompt(f"x{base}x")
    except PilotlightError:
        base = "".join(c if c.isascii() else "_" for c in base)
    stem, dot, ending = base.rpartition(".")
    if not dot or len(ending.encode()) > 16:
        stem, ending = base, ""
    room = MAX_NAME_BYTES - len(ending.encode()) - 1
    stem = stem.encode()[:room].decode("utf-8", "ignore").strip()
    return (f"{stem}.{ending}" if ending and stem else stem or ending) or "attachment"


def fitting(name: str, kind: str) -> str:
    """The name with an ending that Claude's Read tool opens this type by: it refuses a text that is called `.png` (measured),
    and takes a photo that a phone calls `.HEIC` for no image."""
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    if kind in _ENDINGS:
        return name if ending in _ENDINGS[kind] else name + _ENDINGS[kind][0]
    if any(ending in endings for endings in _ENDINGS.values()):
        return name + (".bin" if kind.startswith("application/") and not _TEXT_TYPES.fullmatch(kind) else ".txt")
    return name


def unused(name: str, taken: set[str]) -> str:
    """The name, numbered when it is taken; some file systems do not tell capitals apart."""
    stem, dot, ending = name.rpartition(".")
    if not dot:
        stem, ending = name, ""
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate = f"{stem}-{number}{dot}{ending}"
        number += 1
    taken.add(candidate.casefold())
    return candidate


def suffix(folder: Path, files: Sequence[Stored]) -> str:
    """What is added to the prompt so that Claude finds the files."""
    lines = [f"- {folder / file.name} ({file.mime_type}, {_human(file.size)})" for file in files]
    return "\n\nAttached files, readable with the Read tool:\n" + "\n".join(lines)


def suffix_again(views: Sequence[Mapping[str, Any]]) -> str:
    """The same for the files of a message that is stored."""
    if not views:
        return ""
    files = [Stored(str(view["name"]), str(view["mimeType"]), int(view["size"])) for view in views]
    return suffix(Path(str(views[0]["path"])).parent, files)


def _human(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def discard(session_dir: Path) -> None:
    """Remove every attachment of a session."""
    shutil.rmtree(session_dir / FOLDER, ignore_errors=True)


def sweep(home: Path, sessions_dir: Path, known: Callable[[str], bool]) -> int:
    """At the start: remove files that no accepted message owns. Return how many messages' worth there were."""
    orphans = list((home / INCOMING).glob("*"))
    orphans += [folder for folder in sessions_dir.glob(f"*/{FOLDER}/*") if not known(folder.name)]
    for folder in orphans:
        shutil.rmtree(folder, ignore_errors=True)
    return len(orphans)


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
