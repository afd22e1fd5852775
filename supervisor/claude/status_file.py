"""What a `claude` leaves in its own home: who else has a conversation open, and files of a process that was killed.

Each process keeps `sessions/<pid>.json` there, and 2.1.330 also a key beside it and a socket under the temporary
directory; a clean exit removes them, SIGKILL does not (measured). What must not regress: a file whose process is gone, or
whose pid has gone to somebody else, stops nobody; and only files of the named process are removed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared import process
from shared.foreign_file import SMALL, Unreadable, read_foreign
from shared.process import ProcessId
from supervisor.claude.lenient_json import decode

_CLOCK_TOLERANCE_SECONDS = 120.0


@dataclass(frozen=True)
class Status:
    """Claude's own word about a live process."""

    status: str
    waiting_for: str | None
    conversation_id: str | None
    updated_at: int


def status_path(claude_home: Path, pid: int) -> Path:
    """Where the CLI says what one of its processes is doing."""
    return claude_home / "sessions" / f"{pid}.json"


def status_stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes whenever a status file does; None when there is none."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def read_status(path: Path) -> Status | None:
    """What a status file says; None when there is none or it is half written. Raise Unreadable when it is no file."""
    try:
        raw = decode(read_foreign(path, SMALL))
    except Unreadable:
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("status"), str):
        return None
    updated = raw.get("statusUpdatedAt")
    return Status(
        status=raw["status"],
        waiting_for=_string(raw.get("waitingFor")),
        conversation_id=_string(raw.get("sessionId")),
        updated_at=updated if isinstance(updated, int) else 0,
    )


def owner(claude_home: Path, conversation_id: str) -> int | None:
    """The pid of a living `claude` that has this conversation open; None when nobody has."""
    return next(owners(claude_home, conversation_id), None)


def owners(claude_home: Path, conversation_id: str) -> Iterator[int]:
    """Every living `claude` that has this conversation open; two are one too many."""
    for file, status in _statuses(claude_home):
        if status.get("sessionId") == conversation_id and _is_its_writer(int(file.stem), status):
            yield int(file.stem)


def remove(claude_home: Path, dead: ProcessId) -> None:
    """Remove what a process that has ended left behind; nothing while it lives, or when the files are another's."""
    file = claude_home / "sessions" / f"{dead.pid}.json"
    status = _read(file)
    if process.alive(dead) or (status is not None and not _same_start(status, dead)):
        return
    socket = status.get("messagingSocketPath") if status is not None else None
    if isinstance(socket, str) and Path(socket).name == f"{dead.pid}.sock":
        Path(socket).unlink(missing_ok=True)
    file.unlink(missing_ok=True)
    if file.parent.is_dir():
        for key in file.parent.glob(f"{dead.pid}.*.key"):
            key.unlink(missing_ok=True)


def _statuses(claude_home: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = claude_home / "sessions"
    for file in folder.glob("*.json") if folder.is_dir() else ():
        status = _read(file) if file.stem.isdigit() else None
        if status is not None:
            yield file, status


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(read_foreign(file, SMALL))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _is_its_writer(pid: int, status: dict[str, Any]) -> bool:
    living = process.identify(pid)
    return living is not None and _same_start(status, living)


def _same_start(status: dict[str, Any], seen: ProcessId) -> bool:
    """Whether the file speaks of this process and not of an earlier one with its pid."""
    started = status.get("procStart")
    if sys.platform == "linux" and isinstance(started, str) and started.isdigit():
        return int(started) == seen.start_time
    at = status.get("startedAt")
    if sys.platform == "darwin" and isinstance(at, (int, float)):
        return abs(at / 1e3 - seen.start_time / 1e6) < _CLOCK_TOLERANCE_SECONDS
    return True


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
