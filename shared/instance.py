"""What stands in the lock file of a daemon: who holds it, since when, in which version, and where it listens.

The content alone may be stale and the lock alone has no name: whoever wants to be sure tries both (`cli/owners.py`).
"""

from __future__ import annotations

import os

import msgspec

from shared import __version__


class Instance(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """One daemon. `started_at` in milliseconds since 1970; `url` is the address of an API."""

    pid: int
    started_at: int = 0
    version: str | None = None
    url: str | None = None


def this(started_at: int, url: str | None = None) -> bytes:
    """What this process writes into its lock file."""
    return msgspec.json.encode(Instance(os.getpid(), started_at, __version__, url))


def read(content: bytes) -> Instance | None:
    """Who is named there; None when nobody is."""
    try:
        return msgspec.json.decode(content, type=Instance)
    except msgspec.DecodeError:
        return None
