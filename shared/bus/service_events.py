"""Events of the supervisor itself: its start and end, its settings, whom it could not tell, who asked for what.

What must not regress: the names on the wire are a contract, and stay; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType, field

from shared.bus.event_data import EventData


class Started(EventData, frozen=True, kw_only=True):
    """The supervisor serves."""

    kind: ClassVar[str] = "started"
    pid: int
    version: str


class Stopped(EventData, frozen=True, kw_only=True):
    """The supervisor ends."""

    kind: ClassVar[str] = "stopped"
    pid: int


class SettingsChanged(EventData, frozen=True, kw_only=True):
    """Settings were changed at run time."""

    kind: ClassVar[str] = "settings"
    values: dict[str, Any]
    by: str


class NotificationFailed(EventData, frozen=True, kw_only=True):
    """A recipient could not be told of an event (`notify.command`: neither `recipient` nor `channel`)."""

    kind: ClassVar[str] = "notification_failed"
    seq: int | None
    of: str = field(name="kind")
    recipient: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    why: str


class Audit(EventData, frozen=True, kw_only=True):
    """Somebody asked for a change, or a token or key came, changed or went (`name`, `scope`)."""

    kind: ClassVar[str] = "audit"
    op: str
    actor: str
    session: str | None
    message: str | UnsetType = UNSET
    changes: str | UnsetType = UNSET
    refused: str | UnsetType = UNSET
    needed: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    untold: int | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET


class Tick(EventData, frozen=True, kw_only=True):
    """Every second, beside the journal; `head` is its newest number."""

    kind: ClassVar[str] = "tick"
    head: int
