"""What makes this the one supervisor of its home, and says who it is.

The lock that counts is on the home folder itself: nothing that tidies up temporary folders can remove it, so a second
supervisor can never start beside a living one. The lock file in the run directory carries the owner's name for everybody
else; it is locked too, and made anew when somebody deleted it. A lock on the run directory keeps systemd-tmpfiles from
ageing the sockets in it (tmpfiles.d(5)). All of them end with the process, so what a dead supervisor left stops nobody.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from shared import instance, process
from shared.errors import StorageFailed, Unavailable
from shared.foreign_file import SMALL, read_foreign
from shared.paths import Paths

NAME_SECONDS = 2.0
"""How long to wait for the owner to have written its name, or for a client that looks to let the file go."""

_LOCKED = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})


class Ownership:
    """Held from `take` to `release`, or to the end of the process."""

    def __init__(self, lock: Path, guards: list[int], started_at: int) -> None:
        self._lock = lock
        self._guards = guards
        self._started_at = started_at
        self._file = -1

    @classmethod
    def take(cls, paths: Paths, started_at: int) -> Ownership:
        """Lock. Raise Unavailable with the owner's pid when another supervisor serves, StorageFailed when the home cannot
        be written."""
        guards: list[int] = []
        try:
            for folder, counts in ((paths.home, True), (paths.run_dir, False)):
                guards.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                if not _locked(guards[-1]) and counts:
                    raise _taken(paths.supervisor_lock)
            made = cls(paths.supervisor_lock, guards, started_at)
            made._name()
        except OSError as error:
            _close(guards)
            raise StorageFailed(f"{paths.supervisor_lock} cannot be written: {error.strerror}.") from error
        except BaseException:
            _close(guards)
            raise
        return made

    def restore(self) -> bool:
        """Make the lock file anew if it is not there any more. Return whether it had to be done."""
        try:
            seen, ours = os.stat(self._lock), os.fstat(self._file)
            if (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino):
                return False
        except FileNotFoundError:
            pass
        before = self._file
        self._name()
        os.close(before)
        return True

    def release(self) -> None:
        """Let the next one serve."""
        os.ftruncate(self._file, 0)
        _close([self._file, *self._guards])

    def _name(self) -> None:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            end = time.monotonic() + NAME_SECONDS
            while not _locked(descriptor):
                if time.monotonic() > end:
                    raise _taken(self._lock)
                time.sleep(0.01)
            body = instance.this(self._started_at)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, body, 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor


def _locked(descriptor: int) -> bool:
    """Whether we have the lock now; a file system that cannot lock a folder leaves it to the lock file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _LOCKED
    return True


def _taken(lock: Path) -> Unavailable:
    """Who serves; a name may be that of a dead one until the new owner has written its own."""
    who, end = "another process", time.monotonic() + NAME_SECONDS
    while time.monotonic() < end:
        try:
            named = instance.read(read_foreign(lock, SMALL))
        except OSError:
            named = None
        if named is not None and process.identify(named.pid) is not None:
            who = f"pid {named.pid}"
            break
        time.sleep(0.01)
    return Unavailable(
        f"A supervisor already serves this home ({who}). `pilotlight down` stops it.", code="already_running"
    )


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
