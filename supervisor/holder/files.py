"""The files in a session directory through which a holder and its supervisor find each other.

They outlive both: whoever reads one reads a whole one, because each is written beside its place and renamed into it.
What must not regress: a reader never sees half a file, and nobody but the owner can read them (spawn.json carries the
child's environment). Standard library only: the holder imports this.
"""

from __future__ import annotations

import json
import os
from typing import Any

SPAWN = "spawn.json"
INFO = "holder.json"
EXIT = "exit.json"
RING = "ring"
LOCK = "holder.lock"
LOG = "holder.log"


def write_json(path: str, value: Any, *, sync: bool = False) -> None:
    """Replaces `path`, mode 0600; with `sync` it also survives a power cut. OSError leaves the old file alone."""
    temporary = f"{path}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(temporary, "w", encoding="utf-8", opener=lambda name, _: os.open(name, flags, 0o600)) as file:
            json.dump(value, file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        remove(temporary)
        raise
    if sync:
        _sync_directory(os.path.dirname(path))


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
