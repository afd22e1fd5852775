"""Folders that only their owner may enter: made so, kept so, and believed only while they are so.

Whoever owns the folder of a socket or of a lock answers instead of pilotlight, and says which process is to be signalled;
so does whoever could once write to it. What must not regress: nothing in a run directory is read, connected to or signalled
before `require_private` has looked at it (a home that is too long for a socket's path has it below a temporary directory that
others share); looking costs one system call.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shared.errors import StorageFailed, Unavailable

_OTHERS_ENTER, _OTHERS_WRITE = 0o077, 0o022


def make_private(folder: Path) -> None:
    """Make this folder (0700), or close it. Raise Unavailable when it is not ours, StorageFailed when it cannot be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise _unsafe(folder) from None
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be made: {error.strerror}.") from error
    require_private(folder)


def require_private(folder: Path) -> None:
    """Close this folder if it is ours and open to others. Raise Unavailable when it is not ours, or holds what somebody else
    put there while it was open. One that is not there is fine: nothing can be reached through it."""
    try:
        seen = folder.lstat()
        if stat.S_ISLNK(seen.st_mode) and _is_ours(seen):
            seen = folder.stat()
        if not stat.S_ISDIR(seen.st_mode) or not _is_ours(seen):
            raise _unsafe(folder)
        if seen.st_mode & _OTHERS_ENTER:
            folder.chmod(0o700)
            _refuse_gifts(folder, seen.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be looked at or made private: {error.strerror}.") from error


def _refuse_gifts(folder: Path, mode: int) -> None:
    gifts = [entry.name for entry in os.scandir(folder) if not _is_ours(entry.stat(follow_symlinks=False))]
    if mode & _OTHERS_WRITE and gifts:
        folder.chmod(stat.S_IMODE(mode))  # or the next look would take it for ours
        raise Unavailable(
            f"{folder} was open to everybody, and `{min(gifts)}` in it is another user's: remove what is not yours, "
            f"and `chmod 700` it.",
            code="unsafe_directory",
        )


def _is_ours(seen: os.stat_result) -> bool:
    return seen.st_uid == os.getuid()


def _unsafe(folder: Path) -> Unavailable:
    return Unavailable(
        f"{folder} is not a directory of yours: remove it or set PILOTLIGHT_HOME to another folder.",
        code="unsafe_directory",
    )
