"""What the supervisor knows of a holder: the files that it reads, and the errors that it gets.

The files outlive the holder, so they are how sessions are found again after a restart. What must not regress: a damaged
file is a ValueError, to be quarantined by the caller, and never a wrong answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from shared.foreign_file import SMALL, Unreadable, read_foreign
from shared.process import ProcessId
from supervisor.holder import files

_Record = TypeVar("_Record")


class HolderError(Exception):
    """The holder refused or failed; `code` is the protocol's, or `lost`, `exited`, `launch_failed`."""

    def __init__(self, code: str, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data or {}


class HolderTimeout(HolderError):
    """No answer in time: the holder is stopped, wedged or overloaded. What was asked may still happen."""

    def __init__(self, message: str) -> None:
        super().__init__("stalled", message)


class SpawnSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. Paths are absolute; `env` is the child's whole environment; who holds a lock of ours runs alone."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    socket: str
    locks: list[str] = []
    cols: int = 120
    rows: int = 40
    ring_bytes: int = 1 << 20


class Process(msgspec.Struct, frozen=True):
    pid: int
    start_time: int

    @property
    def id(self) -> ProcessId:
        return ProcessId(self.pid, self.start_time)


class HolderInfo(msgspec.Struct, frozen=True):
    """holder.json: how to find a holder and its child again. `started_at` in seconds since 1970."""

    protocol: int
    pid: int
    start_time: int
    child: Process
    started_at: float
    socket: str
    argv0: str

    @property
    def id(self) -> ProcessId:
        return ProcessId(self.pid, self.start_time)


class Hello(HolderInfo, frozen=True, kw_only=True):
    """The same with the state of the terminal at the time of connecting."""

    cols: int
    rows: int
    ring_start: int
    ring_end: int


class ExitInfo(msgspec.Struct, frozen=True):
    """exit.json: how the child ended, or (`error` with `code` and `message`) why it never started."""

    exit_status: int | None
    signal: int | None
    at: float
    child: Process | None
    error: dict[str, Any] | None
    output_end: int


class Written(NamedTuple):
    """`duplicate`: this id had been typed before, and was not typed again."""

    size: int
    duplicate: bool


def read_info(folder: Path) -> HolderInfo | None:
    """What the last holder of this directory said about itself; None if none got so far. ValueError if damaged."""
    return _read(folder / files.INFO, HolderInfo)


def read_exit(folder: Path) -> ExitInfo | None:
    """How that holder's child ended; None if it has not. ValueError if damaged."""
    return _read(folder / files.EXIT, ExitInfo)


def _read(path: Path, kind: type[_Record]) -> _Record | None:
    try:
        return msgspec.json.decode(read_foreign(path, SMALL), type=kind)
    except FileNotFoundError:
        return None
    except Unreadable as error:
        raise ValueError(error.reason) from error
