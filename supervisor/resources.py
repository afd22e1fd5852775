"""What the process trees of the sessions use, each process counted once and shared memory shared out.

Linux: proportional set size from `smaps_rollup`, so that pages which ten `claude` share are not counted ten times.
Elsewhere: the unique set size that psutil gives. Sampling reads /proc and runs off the loop.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared import process

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One tree now. `memory` in bytes, `cpu_seconds` used so far by its processes, `pids` how many there are."""

    memory: int
    cpu_seconds: float
    pids: int


def memory_of(pid: int) -> int:
    """Bytes of one process; 0 when it is gone."""
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


def cpu_of(pid: int) -> float:
    """User and system seconds of one process; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, OSError):
        return 0.0
    return float(times.user + times.system)


def sample(roots: dict[str, list[process.ProcessId]]) -> dict[str, Sample]:
    """The trees below each session's holder and child. A process that two trees claim is counted for the first only."""
    seen: set[process.ProcessId] = set()
    samples: dict[str, Sample] = {}
    for session, tops in roots.items():
        memory, cpu, count = 0, 0.0, 0
        for top in tops:
            if not process.alive(top):
                continue
            for member in (top, *process.descendants(top)):
                if member in seen:
                    continue
                seen.add(member)
                memory += memory_of(member.pid)
                cpu += cpu_of(member.pid)
                count += 1
        samples[session] = Sample(memory, cpu, count)
    return samples


def machine_cpu() -> float:
    """Percent of all cores in use since the last call."""
    return float(psutil.cpu_percent(interval=None))


def free_disk(folder: Path) -> int:
    """Bytes that are free where `folder` is."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def own_memory() -> int:
    """Bytes of this process."""
    return memory_of(os.getpid())
