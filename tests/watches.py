"""How many files the kernel tells this process of; none where it cannot."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path


def watches() -> int:
    """Those of every inotify descriptor that is open."""
    found = 0
    for entry in Path("/proc/self/fdinfo").iterdir() if sys.platform == "linux" else ():
        with suppress(FileNotFoundError):
            found += entry.read_text().count("inotify wd:")
    return found
