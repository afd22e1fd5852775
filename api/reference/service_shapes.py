"""What the calls on the service itself answer: health, events, settings, rules, devices, and who is notified.

What must not regress: more members may come, and those without a default are always there.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from api.reference.shapes import Shape, Success
from shared.access.tokens import Scope
from shared.bus.messages import (
    Event,
    NodeView,
    RuleView,
    Sample,
    SessionView,
)
from shared.bus.notifications import NoticeView, RecipientView


class Index(Shape, frozen=True, kw_only=True):
    """What this is, and where to go."""

    name: str
    version: str
    token: str
    links: dict[str, str]


class Health(Shape, frozen=True, kw_only=True):
    """The short answer."""

    status: Literal["healthy", "unhealthy"]
    version: str
    aicli_code_available: bool
    timestamp: int
    node: NodeView
    epoch: str


class Unhealthy(Shape, frozen=True, kw_only=True):
    """Nobody answers, and what to do."""

    status: str
    success: Literal[False] | None = None
    error: str | None = None
    node: NodeView | None = None
    epoch: str | None = None


class HealthCheck(Shape, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    status: str
    detail: str


class FullHealth(Shape, frozen=True, kw_only=True):
    """Check by check."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    aicli_code_available: bool
    active_sessions: int
    session_count: int
    resources: dict[str, Any]
    checks: list[HealthCheck]
    timestamp: int
    node: NodeView
    epoch: str


class Status(Success, frozen=True, kw_only=True):
    """Who serves, since when, and every session that is not ended."""

    pid: int
    version: str
    started_at: int | None = None
    claude_version: str | None = None
    demo: bool = False
    sessions: list[SessionView]
    api: dict[str, Any]
    node: NodeView
    epoch: str


class Metrics(Success, frozen=True, kw_only=True):
    """Counts, latencies and resources."""

    sessions: dict[str, Any]
    counters: dict[str, Any]
    latency: dict[str, Any]
    per_session: list[dict[str, Any]]


class SettingsInForce(Success, frozen=True, kw_only=True):
    """Every setting that can be changed at run time, the names of those that were, and what the file says of them."""

    settings: dict[str, Any]
    changed: list[str]
    file: dict[str, Any] = field(default_factory=dict)


class Device(Shape, frozen=True, kw_only=True):
    """A browser that is signed in. `tokenName`: it came in with this token, and goes with it."""

    id: str
    name: str
    scope: Scope
    created_at: int
    last_used_at: int
    expires_at: int
    token_name: str | None = None


class DeviceList(Success, frozen=True, kw_only=True):
    """Browsers that are signed in, the one used last first; `current` is the one that asks."""

    devices: list[Device]
    current: str | None = None


class CurrentClient(Success, frozen=True, kw_only=True):
    """Who asks, and what it may do."""

    name: str
    kind: Literal["token", "device"]
    scope: Scope
    version: str
    host: str
    device: Device | None = None


class Token(Shape, frozen=True, kw_only=True):
    """A named token; itself it is shown once, when it is made."""

    name: str
    scope: Scope
    created_at: int
    rotated_at: int | None = None


class TokenList(Success, frozen=True, kw_only=True):
    """The named tokens, by name."""

    tokens: list[Token]


class OneToken(Success, frozen=True, kw_only=True):
    """The token that counts no more."""

    token: Token


class NewToken(Success, frozen=True, kw_only=True):
    """A token, and for the only time itself."""

    token: Token
    secret: str


class SignedOut(Success, frozen=True, kw_only=True):
    """The device is let in no more."""

    device: Device


class Invitation(Success, frozen=True, kw_only=True):
    """For one device, once: `url` opens the dashboard and signs it in, `code` can be typed there."""

    url: str
    code: str
    scope: Scope
    until: int


class EventPage(Success, frozen=True, kw_only=True):
    """Events, newest first; `next` is the `before` of the page behind it."""

    events: list[Event]
    next: int | None
    epoch: str


class SampleSeries(Success, frozen=True, kw_only=True):
    """Oldest first: all sessions together, and each by its id if that was asked for."""

    span: Literal["hour", "day", "fortnight"]
    total: list[Sample]
    sessions: dict[str, list[Sample]]


class PermissionRules(Success, frozen=True, kw_only=True):
    """Answers given in advance; those without an id stand in the configuration file."""

    rules: list[RuleView]


class OnePermissionRule(Success, frozen=True, kw_only=True):
    """The rule as it is in force."""

    rule: RuleView


class RecipientList(Success, frozen=True, kw_only=True):
    """All of them, those of the configuration first."""

    recipients: list[RecipientView]


class OneRecipient(Success, frozen=True, kw_only=True):
    """One, as it is now."""

    recipient: RecipientView


class Acknowledged(Success, frozen=True, kw_only=True):
    """It is done."""


class Tested(Success, frozen=True, kw_only=True):
    """What became of a test, hop by hop; `notice` is its entry in the log, where the device says whether it was shown."""

    notice: NoticeView
    accepted: bool
    detail: str
    milliseconds: int
    hops: list[dict[str, Any]]


class NoticeList(Success, frozen=True, kw_only=True):
    """What was told, and what was not and why, newest first."""

    notices: list[NoticeView]


class PushKey(Success, frozen=True, kw_only=True):
    """The public key of this installation, base64url."""

    public_key: str


class LinkUsed(Success, frozen=True, kw_only=True):
    """What the link stood for is done."""

    done: str
    session_id: str
