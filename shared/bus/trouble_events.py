"""Events of what went wrong with a session, a file or the machine, and of what was mended.

What must not regress: the names on the wire are a contract, and stay; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType, field

from shared.bus.event_data import EventData


class ScheduledLost(EventData, frozen=True, kw_only=True):
    """What Claude had planned to do by itself is not done: its process has ended, or its time is over."""

    kind: ClassVar[str] = "scheduled_lost"
    tasks: list[dict[str, Any]]
    cause: str


class MemoryLimit(EventData, frozen=True, kw_only=True):
    """A session is over its limit of memory, and what is done about it."""

    kind: ClassVar[str] = "memory"
    bytes: int | None
    limit_mb: float
    action: str


class StartDelayed(EventData, frozen=True, kw_only=True):
    """A start waits for the machine to have time."""

    kind: ClassVar[str] = "start_delayed"
    cpu_percent: float
    limit: float


class Stuck(EventData, frozen=True, kw_only=True):
    """It works, and nothing has moved for so long."""

    kind: ClassVar[str] = "stuck"
    quiet_seconds: int


class Unresponsive(EventData, frozen=True, kw_only=True):
    """Its holder does not answer."""

    kind: ClassVar[str] = "unresponsive"
    holder: Any


class Responsive(EventData, frozen=True, kw_only=True):
    """Its holder answers again."""

    kind: ClassVar[str] = "responsive"
    holder: Any


class Pressure(EventData, frozen=True, kw_only=True):
    """Memory is short, or is not any more."""

    kind: ClassVar[str] = "pressure"
    what: str
    short: bool
    bytes: float | UnsetType = UNSET
    limit_gb: float | UnsetType = UNSET
    free_percent: float | UnsetType = UNSET
    limit_percent: float | UnsetType = UNSET


class Quarantined(EventData, frozen=True, kw_only=True):
    """A damaged file was put aside."""

    kind: ClassVar[str] = "quarantined"
    what: str
    moved_to: str | UnsetType = UNSET
    reason: str


class Unreadable(EventData, frozen=True, kw_only=True):
    """A file of Claude's cannot be read, and is done without."""

    kind: ClassVar[str] = "unreadable"
    what: str
    file: str
    reason: str


class HooksOff(EventData, frozen=True, kw_only=True):
    """A session's hooks are off: what Claude refuses by itself of the owner's rules, and what nobody refuses."""

    kind: ClassVar[str] = "hooks_off"
    refused: list[str]
    left: list[str]


class EditorTaken(EventData, frozen=True, kw_only=True):
    """Claude opens another program in place of the editor that hands messages over, or none: messages wait, or fail."""

    kind: ClassVar[str] = "editor_taken"
    editor: str


class FolderLost(EventData, frozen=True, kw_only=True):
    """The folder of a live session was removed, or what is `missing` of it."""

    kind: ClassVar[str] = "folder_lost"
    missing: list[str]


class Restored(EventData, frozen=True, kw_only=True):
    """A session was found again behind a damaged database."""

    kind: ClassVar[str] = "restored"
    from_: str = field(name="from")
    state: str


class StorageRecovered(EventData, frozen=True, kw_only=True):
    """The database takes words again."""

    kind: ClassVar[str] = "storage_recovered"
    seconds: int
    reason: str


class RunDirRenewed(EventData, frozen=True, kw_only=True):
    """Something had deleted the run directory."""

    kind: ClassVar[str] = "run_dir_renewed"


class BusRebound(EventData, frozen=True, kw_only=True):
    """Something had deleted the sockets of the bus."""

    kind: ClassVar[str] = "bus_rebound"


class ViewersRebound(EventData, frozen=True, kw_only=True):
    """Something had deleted the socket of the terminals."""

    kind: ClassVar[str] = "viewers_rebound"


class LockRenewed(EventData, frozen=True, kw_only=True):
    """Something had deleted the supervisor's lock file."""

    kind: ClassVar[str] = "lock_renewed"
