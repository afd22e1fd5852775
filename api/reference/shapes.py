"""What the calls answer, as types: for the OpenAPI document, and checked against real answers by the tests.

Routes build plain dictionaries, because most of what they answer comes from the bus as it is; these structs say what is
promised about them. More members may come; those without a default are always there.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from shared.access.tokens import Scope
from shared.bus.messages import (
    Event,
    HistoryEntry,
    MessageState,
    MessageView,
    NodeView,
    RuleView,
    Sample,
    Screen,
    SessionState,
    SessionView,
    Waiting,
)
from shared.notifications import NoticeView, RecipientView


class Shape(Struct, rename="camel", frozen=True, kw_only=True):
    """Base of every answer."""


class Success(Shape, frozen=True, kw_only=True):
    """It worked."""

    success: Literal[True]


class Problem(Shape, frozen=True, kw_only=True):
    """A refusal or a failure: the origin's `{success, error}` beside RFC 9457's members. `code` is stable, for programs."""

    success: Literal[False]
    error: str
    code: str
    retryable: bool
    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    data: dict[str, Any] = {}


class MessageOutcome(Success, frozen=True, kw_only=True):
    """What became of a message. 200 carries `reply`; with 202 it is on its way, or `waiting` says what for. `content` is the
    reply as the origin's clients know it, empty until there is one. `normalized`: in what the text that was typed differs from
    the one that was sent (see the receipt)."""

    message: str
    request_id: str
    message_id: str
    session_id: str
    project_path: str
    state: MessageState
    session_state: SessionState
    queue_position: int
    timestamp: int
    delivery_method: str
    content: str
    reply: str | None = None
    duplicate: bool = False
    waiting: Waiting | None = None
    permission_mode: str | None = None
    usage: dict[str, int] | None = None
    tool_calls: list[dict[str, Any]] = []
    normalized: list[str] = []


class StreamEnd(Shape, frozen=True, kw_only=True):
    """The last event of a streamed message: what the call would have answered, its status, and the receipt."""

    success: bool
    status: int
    message_id: str
    session_id: str
    state: MessageState
    receipt: MessageView
    reply: str | None = None
    error: str | None = None


class StreamedEvent(Shape, frozen=True, kw_only=True):
    """One event of a stream. `event` is its kind, or `gap`: what came between is not kept any more."""

    id: str | None = None
    event: str | None = None
    data: str


class EventGap(Shape, frozen=True, kw_only=True):
    """The `data` of a `gap`: events behind `after` are not kept any more."""

    after: int
    oldest: int
    head: int
    epoch: str
    reason: str


class Receipt(MessageView, frozen=True, kw_only=True):
    """A message: how far it came, when each step was reached, and the reply."""

    success: Literal[True]
    message_id: str
    content: str


class MessageList(Success, frozen=True, kw_only=True):
    """A page of messages, oldest first; `next` is the `after` of the page behind it."""

    messages: list[MessageView]
    next: str | None = None


class SessionResult(Success, frozen=True, kw_only=True):
    """A session."""

    session: SessionView


class InterruptResult(SessionResult, frozen=True, kw_only=True):
    """`rung` says what it took."""

    rung: str | None = None


class AnswerResult(SessionResult, frozen=True, kw_only=True):
    """`answer` is what was given; `duplicate`: by this very request, before."""

    answer: dict[str, Any] = {}
    duplicate: bool = False


class EndedSession(SessionResult, frozen=True, kw_only=True):
    """A session that has ended."""

    message: str
    session_id: str


class SessionList(Success, frozen=True, kw_only=True):
    """Sessions, the oldest first."""

    sessions: list[SessionView]
    next: str | None = None


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
    """The origin's answer to keep-alive; `recap` is Claude's summary, `recapSkipped` why there is none."""

    session_id: str
    extended: bool
    expires_at: int | None = None
    recap: str | None = None
    recap_skipped: str | None = None


class LegacySession(Shape, frozen=True, kw_only=True):
    """A session in the origin's words; times in milliseconds. `pid` is 0 while it sleeps."""

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
    """The origin's list."""

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
    """The origin's answer to ending a session."""

    message: str
    session_id: str


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


class History(Success, frozen=True, kw_only=True):
    """A page of what was said, oldest first; `next` is the `before` of the page before it."""

    entries: list[HistoryEntry]
    next: str | None


class SearchHit(Shape, frozen=True, kw_only=True):
    """Where it was said, and around which words."""

    session_id: str | None
    conversation_id: str
    role: str
    id: str | None
    at: int | None
    title: str | None
    project_path: str | None
    snippet: str
    marks: list[tuple[int, int]]


class SearchResult(Success, frozen=True, kw_only=True):
    """The best matches first; `marks` are [start, end) in `snippet`. Not `complete`: ask again."""

    hits: list[SearchHit]
    complete: bool
    next: str | None


class UsageRow(Shape, frozen=True, kw_only=True):
    """Tokens of one day (`day`) or of one session (`sessionId`)."""

    day: str | None = None
    session_id: str | None = None
    replies: int
    usage: dict[str, int]
    from_: str = field(name="from")
    to: str


class Usage(Success, frozen=True, kw_only=True):
    """Tokens: `rows` by day or session, newest first, and the `total` of all of them, whatever the page."""

    by: Literal["day", "session"]
    rows: list[UsageRow]
    total: dict[str, int]
    complete: bool
    next: str | None


class Conversation(Shape, frozen=True, kw_only=True):
    """A conversation that `claude` made elsewhere on this machine."""

    id: str
    project_path: str | None
    title: str | None
    first_prompt: str | None
    last_activity: int
    messages: int
    pid: int | None


class ConversationList(Success, frozen=True, kw_only=True):
    """Not ours; `pid` is a live process that has it open, and then it cannot be resumed."""

    conversations: list[Conversation]
    next: str | None


class CommandOutcome(Success, frozen=True, kw_only=True):
    """What a command said; `waiting` when it has opened a dialog."""

    request_id: str
    message_id: str
    session_id: str
    state: MessageState
    session: SessionView
    output: str | None = None
    waiting: Waiting | None = None


class MessageQueue(Success, frozen=True, kw_only=True):
    """Those that wait, in their order."""

    messages: list[MessageView]


class Status(Success, frozen=True, kw_only=True):
    """Who serves, since when, and every session that is not ended."""

    pid: int
    version: str
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
    file: dict[str, Any] = {}


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


class Draft(Success, frozen=True, kw_only=True):
    """What was begun, when, and on which device; an empty text is none."""

    text: str
    at: int
    by: str | None = None


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
