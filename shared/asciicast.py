"""asciicast v2, the format of asciinema's recordings (https://docs.asciinema.org/manual/asciicast/v2/).

A recording is one or two files, the older one first: each is complete by itself, and `join` makes one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.foreign_file import open_foreign

MEDIA_TYPE = "application/x-asciicast"
_encode = msgspec.json.Encoder().encode


def header(cols: int, rows: int, timestamp: int, title: str | None) -> bytes:
    """The first line; `timestamp` in seconds since the epoch."""
    head: dict[str, Any] = {"version": 2, "width": cols, "height": rows, "timestamp": timestamp}
    if title:
        head["title"] = title
    return _encode({**head, "env": {"TERM": "xterm-256color"}}) + b"\n"


def event(at: float, kind: str, data: str) -> bytes:
    """One line: `o` is output, `r` a new size as `120x40`; `at` in seconds since the header's timestamp."""
    return _encode([round(at, 6), kind, data]) + b"\n"


def read_header(line: bytes) -> dict[str, Any]:
    """The header of a recording. Raise ValueError when it is none."""
    try:
        head = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError("not an asciicast") from error
    if head.get("version") != 2 or not isinstance(head.get("timestamp"), int):
        raise ValueError("not an asciicast of version 2")
    return head


def join(files: Iterable[Path]) -> Iterator[bytes]:
    """The lines of one recording out of several files, oldest first. Files that are gone or no recording are left out."""
    began: int | None = None
    for file in files:
        try:
            with open_foreign(file) as lines:
                head_line = lines.readline(64 * 1024)
                head = read_header(head_line)
                if began is None:
                    began = head["timestamp"]
                    yield head_line
                shift = head["timestamp"] - began
                for line in lines:
                    yield _shifted(line, shift) if shift else line
        except (OSError, ValueError):
            continue


def _shifted(line: bytes, seconds: int) -> bytes:
    try:
        at, kind, data = msgspec.json.decode(line, type=tuple[float, str, str])
    except msgspec.DecodeError:
        return b""
    return event(at + seconds, kind, data)
