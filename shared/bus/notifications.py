"""Notifications on the wire: who is told what, and what was told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from shared.bus.messages import Wire

TellKind = Literal[
    "waiting", "login", "limit", "answered", "failed", "warning", "expired", "crashed", "pressure", "stuck", "scheduled"
]
KINDS: tuple[TellKind, ...] = (
    "waiting",
    "login",
    "limit",
    "answered",
    "failed",
    "warning",
    "expired",
    "crashed",
    "pressure",
    "stuck",
    "scheduled",
)
"""What can be told."""

Content = Literal["none", "title", "text"]
ChannelKind = Literal["webpush", "ntfy", "webhook", "apns", "apprise", "command"]
FOREVER = -1
ClockTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Quiet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours of every day in which nothing is told, by the recipient's zone; what was held back is told at their end, in one."""

    start: ClockTime
    end: ClockTime


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What one recipient is told. `kinds` and `sessions` null: all. `content` is how much of it leaves this machine. `zone` as in
    `Europe/Vienna`; null: this machine's. `muted_until` in milliseconds since the epoch; -1: for ever."""

    kinds: list[TellKind] | None = None
    sessions: list[str] | None = None
    content: Content = "title"
    quiet: Quiet | None = None
    zone: str | None = None
    muted_until: int | None = None


class RecipientView(Wire, frozen=True):
    """A recipient or channel as clients see it. `place`: where it is, without what is secret. `configured`: it stands in the
    configuration, and only its rules cannot be changed. `status`: `new` (nothing was sent yet), `ok`, `failing` or `muted`."""

    id: str
    kind: ChannelKind
    name: str
    place: str
    rules: Rules
    status: Literal["new", "ok", "failing", "muted"]
    configured: bool = False
    created_at: int = 0
    seen_at: int = 0
    success_at: int | None = None
    error_at: int | None = None
    error: str | None = None
    present: bool = False
    waiting: int = 0
    by: str | None = None


class NoticeView(Wire, frozen=True):
    """One thing that was told, or was not, and why. `state`: held, sending, told, withdrawn, dropped or failed. `received_at`
    and `shown_at` are what the recipient says."""

    recipient: str
    recipient_name: str
    key: str
    kind: str
    title: str
    state: str
    at: int
    session: str | None = None
    reason: str = ""
    told_at: int | None = None
    received_at: int | None = None
    shown_at: int | None = None
    due: int | None = None
    via: str = ""


class TestResult(Wire, frozen=True):
    """A test, hop by hop: handed over, accepted (or not, and why); `notice` is its entry in the log, where the recipient says
    when it was received and shown."""

    __test__ = False  # no test of pytest's

    notice: NoticeView
    accepted: bool
    detail: str
    milliseconds: int
    hops: list[dict[str, Any]] = field(default_factory=list)
