"""Processes of a session that nobody leads to any more: their `claude` and its holder were killed.

A background task runs in a process session of its own; when SIGKILL takes both `claude` and the holder that would have
inherited it, it lives on under init (measured). It still carries the session's directory in its environment, which only
`claude` hands down, so it is found by that. Linux only: elsewhere another process's environment cannot be read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from shared import process
from shared.process import ProcessId, family

MARK = "PILOTLIGHT_SESSION_DIR"


def belonging(session_dir: Path) -> list[ProcessId]:
    """Every living process that was started from this session's `claude`, and that `claude` itself; not Claude's daemon."""
    if sys.platform != "linux":
        return []
    mark = os.fsencode(f"{MARK}={session_dir}")
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                carries = mark in file.read().split(b"\0")
        except OSError:
            continue
        if carries and (living := process.identify(int(name))) is not None and not family.is_nobodys(living):
            found.append(living)
    return found
