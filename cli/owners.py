"""Which process holds a lock file of ours, without ever being in the way of the one that wants it.

The supervisor and the API each hold `flock` on their file and write into it who they are (`shared/instance.py`). The
content alone may be stale and the lock alone has no name, so both must agree. The lock is only tried when the named
process lives: a trial on a free lock would, for a moment, keep a starting supervisor out.
"""

from __future__ import annotations

import fcntl
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from shared import instance
from shared.paths import Paths
from shared.private_folders import require_private
from shared.process import ProcessId, alive, identify, send_signal

_CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Owner:
    """Who holds a lock; `url` is where the API listens."""

    process: ProcessId
    started_at: int
    version: str | None
    url: str | None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


def owner(lock: Path) -> Owner | None:
    """Who holds `lock` now, or None. Raise Unavailable when what is there may be somebody else's."""
    require_private(lock.parent)
    try:
        named = instance.read(lock.read_bytes())
    except OSError:
        return None
    process = identify(named.pid) if named is not None else None
    if named is None or process is None or not _is_locked(lock):
        return None
    return Owner(process, named.started_at, named.version, named.url)


def stop(process: ProcessId, number: int, seconds: float) -> bool:
    """Signal a process and wait for its end. Whether it is gone."""
    send_signal(process, number)
    deadline = time.monotonic() + seconds
    while alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def live_holders(paths: Paths) -> int:
    """How many holders of this home accept a connection; what a dead one left behind does not count. Raise
    Unavailable when they may be somebody else's."""
    paths.check_run_dir()
    return sum(_listens(path) for path in (paths.run_dir / "h").glob("*.sock"))


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
