"""What the calls on sessions and their terminals answer, also in the words of legacy clients (`Legacy...`).

What must not regress: more members may come, and those without a default are always there.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from api.reference.shapes import Shape, Success
from shared.bus.messages import (
    Screen,
    SessionState,
    SessionView,
)
from shared.bus.move_requests import MoveStep


class SessionResult(Success, frozen=True, kw_only=True):
    """A session."""

    session: SessionView


class InterruptResult(SessionResult, frozen=True, kw_only=True):
    """`rung` says what it took."""

    rung: str | None = None


class AnswerResult(SessionResult, frozen=True, kw_only=True):
    """`answer` is what was given; `duplicate`: by this very request, before."""

    answer: dict[str, Any] = field(default_factory=dict)
    duplicate: bool = False


class EndedSession(SessionResult, frozen=True, kw_only=True):
    """A session that has ended."""

    message: str
    session_id: str


class SessionList(Success, frozen=True, kw_only=True):
    """Sessions, the oldest first."""

    sessions: list[SessionView]
    next: str | None = None


class MoveResult(Success, frozen=True, kw_only=True):
    """How far a move is. At a gateway it is done, and `session` is there; without a `move` it was there already."""

    move: MoveStep | None = None
    session: SessionView | None = None


class MoveCalledOff(SessionResult, frozen=True, kw_only=True):
    """The session is here. `move`: the one that was called off, if there was one."""

    move: MoveStep | None = None


class KeptBundle(Success, frozen=True, kw_only=True):
    """The bundle has come. `arrived`: and became a session, some time ago."""

    digest: str
    arrived: bool


class ScreenResult(Success, frozen=True, kw_only=True):
    """What a person would see."""

    screen: Screen


class RecordingStatus(Success, frozen=True, kw_only=True):
    """Whether the terminal is recorded, and how much there is of it."""

    recording: bool
    bytes: int


class NewTicket(Success, frozen=True, kw_only=True):
    """Leave to open one stream, for `expiresIn` seconds."""

    ticket: str
    expires_in: float


class KeepAliveResult(Success, frozen=True, kw_only=True):
    """The legacy answer to keep-alive; `recap` is Claude's summary, `recapSkipped` why there is none."""

    session_id: str
    extended: bool
    expires_at: int | None = None
    recap: str | None = None
    recap_skipped: str | None = None


class LegacySession(Shape, frozen=True, kw_only=True):
    """A session as legacy clients read it; times in milliseconds. `pid` is 0 while it sleeps."""

    session_id: str
    project_path: str
    created_at: int
    last_activity: int
    message_count: int
    expires_at: int
    state: SessionState
    pid: int


class LegacyStats(Shape, frozen=True, kw_only=True):
    """How much room there is; `memoryUsage` in bytes."""

    total_sessions: int
    max_sessions: int
    available_slots: int
    memory_usage: int


class LegacySessions(Success, frozen=True, kw_only=True):
    """The list as legacy clients read it."""

    sessions: list[LegacySession]
    stats: LegacyStats


class LegacyStatus(LegacySession, frozen=True, kw_only=True):
    """One session's life; `active` until its time is over, and while it works."""

    success: Literal[True]
    time_remaining: int
    is_expired: bool
    needs_warning: bool
    active: bool


class LegacyEnded(Success, frozen=True, kw_only=True):
    """The legacy answer to ending a session."""

    message: str
    session_id: str


class Folder(Shape, frozen=True, kw_only=True):
    """`recent`: a session was there; `elsewhere`: a conversation of Claude's; `project`: it looks like one."""

    path: str
    name: str
    kind: Literal["recent", "elsewhere", "folder", "project"]


class FolderList(Success, frozen=True, kw_only=True):
    """`roots` may be looked into."""

    folders: list[Folder]
    roots: list[str]
    path: str | None = None
    parent: str | None = None
