"""The locks that make a holder the only one: for its session directory, and for the transcript it is given.

Two processes on one transcript branch silently and one side's messages are gone (failures.md 20, promise 3). A lock is
held until its holder ends. The child does not inherit it, so the file names the child: what must not regress is that a
second child is refused even when the first one's holder was killed and the child lives on.
Standard library only: the holder imports this.
"""

from __future__ import annotations

import fcntl
import os

from shared.process import ProcessId, alive
from supervisor.holder.errors import StartError


def take(path: str) -> int:
    """The descriptor, to be kept open. StartError `locked` if another holder has it, or a child of a dead one lives."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError("locked", f"another holder has {path}", path) from error
        if _is_still_at(fd, path):
            break
        os.close(fd)
    survivor = _read_mark(fd)
    if survivor is not None and alive(survivor):
        raise StartError("locked", f"process {survivor.pid} of a holder that was killed still uses {path}", path)
    return fd


def _is_still_at(fd: int, path: str) -> bool:
    """False if the file was removed, perhaps replaced, while we opened and locked it."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def mark(fd: int, child: ProcessId) -> None:
    """Names the child that this lock stands for."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{child.pid} {child.start_time}\n".encode(), 0)


def release(fd: int) -> None:
    """Lets the lock go while the child lives on."""
    os.ftruncate(fd, 0)
    os.close(fd)


def discard(path: str) -> bool:
    """Removes a lock that nobody holds and that stands for no living child; whether it did.

    Whoever opened the file before it went finds out when it has the lock (`take`), and makes a new one. For the moment in
    which this looks, a `take` is refused as if a holder had the lock: call it where none is to be expected.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        survivor = _read_mark(fd)
        if not _is_still_at(fd, path) or (survivor is not None and alive(survivor)):
            return False
        os.unlink(path)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def _read_mark(fd: int) -> ProcessId | None:
    pid, _, started = os.pread(fd, 64, 0).decode(errors="replace").strip().partition(" ")
    return ProcessId(int(pid), int(started)) if pid.isdecimal() and started.isdecimal() else None
