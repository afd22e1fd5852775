"""Who a process is, and signals that can reach nobody else.

A pid alone names whoever has it now: pids are reused, and a zombie passes `kill(pid, 0)` (failures.md 21). A process is
therefore the pair (pid, start time), which is written to disk and compared by other processes later. What must not
regress: a signal goes only to the exact pair, a zombie counts as dead, and pid 0 or -1 never reaches `kill`.

The start time is an integer without meaning of its own: clock ticks since boot on Linux, microseconds since 1970 on
macOS. The holder imports this module, so it costs no more than the standard library that the holder has anyway.

darwin  libproc through ctypes
family  whose a process is

May import: nothing.

1. A signal reaches the exact process or nobody. (tests/unit/shared/test_process.py)
2. It costs the holder the standard library only. (tests/unit/shared/test_process.py)
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

_DEEPEST = 1000
_LINE_BYTES = 4096


class ProcessId(NamedTuple):
    """One process, for as long as the machine is up: no other will ever equal it."""

    pid: int
    start_time: int


class _Stat(NamedTuple):
    zombie: bool
    parent: int
    session: int
    start_time: int


if sys.platform == "darwin":
    from shared.process.darwin import all_pids as _all_pids
    from shared.process.darwin import read_arguments as _words
    from shared.process.darwin import read_stat

    def _stat(pid: int) -> _Stat | None:
        found = read_stat(pid) if pid > 0 else None
        return None if found is None else _Stat(*found)

else:

    def _stat(pid: int) -> _Stat | None:
        try:
            line = _stat_line(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        # proc(5): "pid (comm) state ppid pgrp session ..."; comm may itself hold spaces and parentheses.
        fields = line[line.rindex(b")") + 2 :].split(None, 20)
        return _Stat(fields[0] in b"ZX", int(fields[1]), int(fields[3]), int(fields[19]))

    def _stat_line(pid: int) -> bytes:
        """What the kernel says of one, in three system calls: a file of Python's takes nine."""
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _LINE_BYTES)
        finally:
            os.close(descriptor)

    def _all_pids() -> list[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]

    def _words(pid: int) -> list[bytes]:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().rstrip(b"\0").split(b"\0")
        except OSError:
            return []


def start_time(pid: int) -> int | None:
    """The start time of whoever has this pid now, even a zombie; for a parent that has not reaped its child yet."""
    found = _stat(pid)
    return None if found is None else found.start_time


def identify(pid: int) -> ProcessId | None:
    """Who has this pid now; None if nobody has, or only a zombie."""
    found = _stat(pid)
    return None if found is None or found.zombie else ProcessId(pid, found.start_time)


def alive(process: ProcessId) -> bool:
    return identify(process.pid) == process


def send_signal(process: ProcessId, number: int) -> bool:
    """Whether the signal was sent to exactly this process; False if it is gone, a zombie, or not ours to signal."""
    if process.pid <= 0:
        return False
    try:
        return _signal_by_handle(process, number)
    except (ProcessLookupError, PermissionError):
        return False


def _signal_by_handle(process: ProcessId, number: int) -> bool:
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return _signal_by_pid(process, number)
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except OSError:  # no file descriptor left, or a kernel or sandbox without pidfd
        return _signal_by_pid(process, number)
    try:
        # Looked up after the handle was opened: from here on the handle cannot come to mean another process.
        if not alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    finally:
        os.close(handle)


def _signal_by_pid(process: ProcessId, number: int) -> bool:
    if not alive(process):
        return False
    os.kill(process.pid, number)
    return True


def arguments(process: ProcessId) -> list[str]:
    """The words that it was started with; none of what has gone or is not ours to look at."""
    words = _words(process.pid)
    return [word.decode("utf-8", "replace") for word in words] if words and alive(process) else []


class Table:
    """Every process that there is at this moment, by its pid, and which are whose children."""

    def __init__(self) -> None:
        self.processes = {pid: found for pid in _all_pids() if (found := _stat(pid)) is not None}
        self.children: dict[int, list[int]] = {}
        for pid, found in self.processes.items():
            self.children.setdefault(found.parent, []).append(pid)


def descendants(
    root: ProcessId, apart: Callable[[ProcessId], bool] | None = None, among: Table | None = None
) -> list[ProcessId]:
    """Every living process below `root`, parents first; empty if `root` itself is gone. What is `apart` is left out, with all
    below it. `among`: the processes of this moment, for whoever asks of several."""
    table = among or Table()
    processes = table.processes
    if root.pid not in processes or processes[root.pid].start_time != root.start_time:
        return []
    order = [root.pid]
    for pid in order:
        for child in table.children.get(pid, ()):
            if child not in (pid, root.pid) and not (apart and apart(ProcessId(child, processes[child].start_time))):
                order.append(child)
    return [ProcessId(pid, processes[pid].start_time) for pid in order[1:] if not processes[pid].zombie]


def ancestors(process: ProcessId) -> list[ProcessId]:
    """Those above it, its parent first."""
    found, above = _stat(process.pid), list[ProcessId]()
    while found is not None and found.parent > 1 and len(above) < _DEEPEST:
        pid, found = found.parent, _stat(found.parent)
        if found is not None:
            above.append(ProcessId(pid, found.start_time))
    return above


def session_members(session: int) -> list[ProcessId]:
    """Every living process of one process session, the leader included."""
    table = ((pid, _stat(pid)) for pid in _all_pids())
    return [
        ProcessId(pid, found.start_time)
        for pid, found in table
        if found and found.session == session and not found.zombie
    ]
