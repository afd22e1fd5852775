"""A disk that can be filled, and one that can be made read-only, under a house that runs."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import House

DISK_BYTES = 24 << 20


class Disk:
    """The disk of a house's home: a small tmpfs where we may mount one, else a limit on what the supervisor may write."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._filler = house.home / "filler"
        self.real = os.geteuid() == 0
        if self.real:
            _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "pilotlight-test", str(house.home))

    def fill(self) -> None:
        """No byte more fits."""
        if not self.real:
            self._limit(0)
            return
        with open(self._filler, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Room again."""
        if self.real:
            self._filler.unlink(missing_ok=True)
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        supervisor = self._house.supervisor
        assert supervisor is not None
        if supervisor.poll() is None:
            _, hard = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (size, hard))

    def remove(self) -> None:
        """Unmount."""
        self.free()
        if self.real:
            _run("umount", "--lazy", str(self._house.home))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be made, renamed or opened for writing in here; what is open stays so."""
    if os.geteuid() == 0:
        _run("mount", "--bind", str(folder), str(folder))
        _run("mount", "-o", "remount,ro,bind", str(folder))
    else:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        modes = {path: path.stat().st_mode for path in folders}
        for path in folders:
            path.chmod(0o500)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            _run("umount", "--lazy", str(folder))
        else:
            for path, mode in modes.items():
                path.chmod(mode)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def descriptors(pid: int) -> int:
    """How many a process has open, without the index of the search, which is opened when it is first needed."""
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found += "search.db" not in os.readlink(entry.path)
        except FileNotFoundError:
            continue
    return found
