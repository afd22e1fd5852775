"""What the process trees of the sessions use, each process counted once and shared memory shared out.

Linux: proportional set size from `smaps_rollup`, so that pages which ten `claude` share are not counted ten times. The kernel
walks every page for it (35 ms of CPU for 620 MB, the half of what an idle session cost): not while nothing has changed.
macOS: the physical footprint, which counts compressed pages, too. Elsewhere, and where the kernel does not tell: the unique
set size that psutil gives. Sampling asks the kernel about each process and runs off the loop.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared import process
from shared.process import family

if sys.platform == "darwin":
    from shared.process.darwin import footprint as _footprint
else:

    def _footprint(pid: int) -> int | None:
        return None


_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of glibc; other systems give back by themselves."""


@dataclass(frozen=True)
class Sample:
    """One tree now. `memory` in bytes, `cpu_seconds` used so far by its processes, `pids` how many there are."""

    memory: int
    cpu_seconds: float
    pids: int


def memory_of(pid: int) -> int:
    """Bytes of one process; 0 when it is gone."""
    charged = _footprint(pid)
    if charged is not None:
        return charged
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        if found:
            return int(found.group(1)) * 1024
    except OSError:
        if Path("/proc/self").exists():
            return 0
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except (psutil.Error, OSError):
        return 0


class MemoryMeter:
    """Memory of processes, pass by pass. What was measured holds while a process is as large as it was, within a fiftieth, and
    the same ones are there, which share its pages; and for so many passes."""

    MOST_PASSES = 10

    def __init__(self) -> None:
        self._known: dict[process.ProcessId, tuple[int, int]] = {}
        self._passes = 0

    def measure(self, members: Sequence[process.ProcessId]) -> dict[process.ProcessId, int]:
        """Bytes of each."""
        self._passes += 1
        if set(members) != set(self._known) or self._passes >= self.MOST_PASSES:
            self._known, self._passes = {}, 0
        for member in members:
            resident = _resident(member.pid)
            known = self._known.get(member)
            if known is None or resident is None or abs(resident - known[0]) > known[0] // 50:
                self._known[member] = (resident or 0, memory_of(member.pid))
        return {member: charged for member, (_, charged) in self._known.items()}


def _resident(pid: int) -> int | None:
    """Pages of one process that are in memory, shared ones too: cheap to ask for. None where the kernel does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None


def cpu_of(pid: int) -> float:
    """User and system seconds of one process; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, OSError):
        return 0.0
    return float(times.user + times.system)


def sample(roots: dict[str, list[process.ProcessId]], meter: MemoryMeter | None = None) -> dict[str, Sample]:
    """The trees below each session's holder and child. A process that two trees claim is counted for the first only. `meter`: the
    one that has measured the passes before. The kernel is asked once for all processes, however many sessions there are: for each
    holder and each child, that was the half of what the supervisor did at rest."""
    among = process.Table()
    trees: dict[str, list[process.ProcessId]] = {}
    seen: set[process.ProcessId] = set()
    for session, tops in roots.items():
        living = [top for top in tops if process.alive(top)]
        found = dict.fromkeys(member for top in living for member in (top, *family.members(top, among)))
        trees[session] = [member for member in found if member not in seen]
        seen.update(found)
    memory = (meter or MemoryMeter()).measure([member for tree in trees.values() for member in tree])
    return {
        session: Sample(sum(memory[one] for one in tree), sum(cpu_of(one.pid) for one in tree), len(tree))
        for session, tree in trees.items()
    }


class CpuMeter:
    """Percent of all cores in use since the last reading; each meter has its own, so that two do not disturb each other."""

    def __init__(self) -> None:
        self._busy, self._total = _cpu_times()

    def percent(self) -> float:
        """0 to 100."""
        busy, total = _cpu_times()
        used, passed = busy - self._busy, total - self._total
        self._busy, self._total = busy, total
        return round(max(0.0, min(100.0, used / passed * 100.0)), 1) if passed > 0 else 0.0


def _cpu_times() -> tuple[float, float]:
    times = psutil.cpu_times()._asdict()
    # guest time is part of user time already (proc(5))
    total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))
    return total - times["idle"] - times.get("iowait", 0.0), total


def free_disk(folder: Path) -> int:
    """Bytes that are free where `folder` is."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def free_memory_percent() -> float:
    """How much of the machine's memory could be had without swapping."""
    seen = psutil.virtual_memory()
    return float(seen.available * 100.0 / seen.total) if seen.total else 100.0


def release_memory() -> bool:
    """Return what this process has freed to the machine (glibc keeps it: of 15 MB of heap 12 were in use after a thousand
    sessions, measured). False: nothing that needs to be told."""
    if _malloc_trim is not None:
        _malloc_trim(0)
    return False


def keep_for_good() -> None:
    """What is there now stays until the end: the garbage collector need not look at it again. It looked at 35,000 objects for
    20 ms, as often as a few hundred views were made, and the loop stood still for that long (measured)."""
    gc.collect()
    gc.freeze()


def own_memory() -> int:
    """Bytes of this process."""
    return memory_of(os.getpid())
