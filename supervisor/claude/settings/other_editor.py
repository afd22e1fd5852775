"""A program that Claude has opened as its editor and that is not ours: managed settings win over everything, and a wrapper
does what it likes.

It is known by its arguments: the CLI hands each editor a file that is called `claude-prompt-…`. What must not regress:
nothing is ended but what has that file and descends from the session's own `claude`, and never what a person has opened.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from shared.process import ProcessId, alive, arguments, descendants, send_signal
from supervisor.claude.settings.set_up import EDITOR_NAME

DRAFT_FILE = "claude-prompt-"
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "env"})
GRACE_SECONDS = 1.0


def find(child: ProcessId, persons: int | None) -> list[ProcessId]:
    """The processes below `claude` that were given its draft, the outermost first; none while one of them is ours, which may be
    slow, or `persons`, the editor that a person at the terminal has asked for."""
    given = {process: arguments(process) for process in descendants(child)}
    found = [process for process, words in given.items() if any(DRAFT_FILE in word for word in words)]
    ours = any(Path(word).name == EDITOR_NAME for process in found for word in given[process])
    return [] if ours or persons in [process.pid for process in found] else found


def name(processes: list[ProcessId]) -> str:
    """What a person would call it: the innermost program that is no shell, or else what the shell runs."""
    words = [arguments(process) for process in reversed(processes)]
    for line in words:
        if line and Path(line[0]).name not in SHELLS:
            return Path(line[0]).name
    named = (Path(word).name for line in words for word in line[1:] if DRAFT_FILE not in word and word[:1] != "-")
    return next(named, "another program")


def end(processes: list[ProcessId]) -> None:
    """End it, the innermost first: TERM, and KILL for what does not mind that."""
    for process in reversed(processes):
        send_signal(process, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until and any(alive(process) for process in processes):
        time.sleep(0.02)
    for process in processes:
        send_signal(process, signal.SIGKILL)
