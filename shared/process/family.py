"""Whose a process is: a session's are those below it, but for Claude's own daemon and what that runs.

`claude --bg` in a tool starts the daemon, if none runs, in the tree of the session that it was called in; it serves all
sessions of the account, and its agents go on for days. What must not regress: neither counts as the session's memory, and none
is ended with it. Standard library only: the holder imports this, so how the daemon is called is known here and not in
`supervisor/claude/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.process import ProcessId, Table, ancestors, arguments, descendants

_DAEMON = ("daemon", "run")
_HOST = "--bg-pty-host"
_CALLED = ("claude daemon", "claude bg-pty-host")


def is_daemons(words: Sequence[str]) -> bool:
    """Whether a command line is that of Claude's daemon, or of a terminal that it keeps for an agent (2.1.330)."""
    if not words:
        return False
    runs = any(tuple(words[at : at + 2]) == _DAEMON for at in range(1, len(words))) and "--origin" in words
    return runs or _HOST in words[1:] or words[0] in _CALLED


def _apart(process: ProcessId) -> bool:
    return is_daemons(arguments(process))


def members(root: ProcessId, among: Table | None = None) -> list[ProcessId]:
    """Every living process below `root` that is its own, parents first. `among`: as for `descendants`."""
    return descendants(root, _apart, among)


def is_nobodys(process: ProcessId) -> bool:
    """Whether it is Claude's daemon, or below it."""
    return any(_apart(one) for one in (process, *ancestors(process)))
