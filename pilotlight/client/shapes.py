"""What the API answers, as types; made by `api/reference/client_shapes.py`, not to be edited.

Over 400 lines: one file, because the types name each other, and whoever uses them looks for all of them under one name.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Acknowledged(TypedDict):
    """It is done."""

    success: Literal[True]


class AnswerResult(TypedDict):
    """`answer` is what was given; `duplicate`: by this very request, before."""

    success: Literal[True]
    session: SessionView
    answer: NotRequired[dict[str, Any]]
    duplicate: NotRequired[bool]


class Choice(TypedDict):
    """One thing that a waiting session can be answered with."""

    id: str
    label: str
    description: NotRequired[str | None]
    selected: NotRequired[bool]


class CommandOutcome(TypedDict):
    """What a command said; `waiting` when it has opened a dialog."""

    success: Literal[True]
    requestId: str
    messageId: str
    sessionId: str
    state: Literal["accepted", "answered", "cancelled", "failed", "interrupted", "queued", "submitted", "typed"]
    session: SessionView
    output: NotRequired[str | None]
    waiting: NotRequired[Waiting | None]


class Conversation(TypedDict):
    """A conversation that `claude` made elsewhere on this machine."""

    id: str
    projectPath: str | None
    title: str | None
    firstPrompt: str | None
    lastActivity: int
    messages: int
    pid: int | None


class ConversationList(TypedDict):
    """Not ours; `pid` is a live process that has it open, and then it cannot be resumed."""

    success: Literal[True]
    conversations: list[Conversation]
    next: str | None


class CurrentClient(TypedDict):
    """Who asks, and what it may do."""

    success: Literal[True]
    name: str
    kind: Literal["device", "token"]
    scope: Literal["admin", "answer", "chat", "read"]
    version: str
    host: str
    device: NotRequired[Device | None]


class Device(TypedDict):
    """A browser that is signed in. `tokenName`: it came in with this token, and goes with it."""

    id: str
    name: str
    scope: Literal["admin", "answer", "chat", "read"]
    createdAt: int
    lastUsedAt: int
    expiresAt: int
    tokenName: NotRequired[str | None]


class DeviceList(TypedDict):
    """Browsers that are signed in, the one used last first; `current` is the one that asks."""

    success: Literal[True]
    devices: list[Device]
    current: NotRequired[str | None]


class Draft(TypedDict):
    """What was begun, when, and on which device; an empty text is none."""

    success: Literal[True]
    text: str
    at: int
    by: NotRequired[str | None]


class EndedSession(TypedDict):
    """A session that has ended."""

    success: Literal[True]
    session: SessionView
    message: str
    sessionId: str


class ErrorBody(TypedDict):
    """Why a request was refused; `status` is the HTTP status for it."""

    code: str
    message: str
    status: NotRequired[int]
    retryable: NotRequired[bool]
    data: NotRequired[dict[str, Any]]


class Event(TypedDict):
    """One journal entry. `seq` has no gaps within an `epoch`, and an epoch lasts as long as the database. `node` is
    the id of the pilotlight that it comes from."""

    v: int
    epoch: str
    seq: int
    at: int
    kind: str
    session: NotRequired[str | None]
    data: NotRequired[dict[str, Any]]
    node: NotRequired[str]


class EventGap(TypedDict):
    """The `data` of a `gap`: events behind `after` are not kept any more."""

    after: int
    oldest: int
    head: int
    epoch: str
    reason: str


class EventPage(TypedDict):
    """Events, newest first; `next` is the `before` of the page behind it."""

    success: Literal[True]
    events: list[Event]
    next: int | None
    epoch: str


class Field(TypedDict):
    """One field of a form. `value`: what it has unless something else is said, in an answer's words. `choices`: of
    an enum, whose values are their ids; `several`: any number of them."""

    name: str
    type: NotRequired[Literal["boolean", "enum", "integer", "number", "text"]]
    label: NotRequired[str]
    description: NotRequired[str | None]
    required: NotRequired[bool]
    several: NotRequired[bool]
    choices: NotRequired[list[Choice]]
    value: NotRequired[str | list[str] | None]


class Folder(TypedDict):
    """`recent`: a session was there; `elsewhere`: a conversation of Claude's; `project`: it looks like one."""

    path: str
    name: str
    kind: Literal["elsewhere", "folder", "project", "recent"]


class FolderList(TypedDict):
    """`roots` may be looked into."""

    success: Literal[True]
    folders: list[Folder]
    roots: list[str]
    path: NotRequired[str | None]
    parent: NotRequired[str | None]


class FullHealth(TypedDict):
    """Check by check."""

    status: Literal["degraded", "healthy", "unhealthy"]
    version: str
    aicliCodeAvailable: bool
    activeSessions: int
    sessionCount: int
    resources: dict[str, Any]
    checks: list[HealthCheck]
    timestamp: int
    node: NodeView
    epoch: str


class Health(TypedDict):
    """The short answer."""

    status: Literal["healthy", "unhealthy"]
    version: str
    aicliCodeAvailable: bool
    timestamp: int
    node: NodeView
    epoch: str


class HealthCheck(TypedDict):
    """One thing that was looked at."""

    name: str
    status: str
    detail: str


class History(TypedDict):
    """A page of what was said, oldest first; `next` is the `before` of the page before it."""

    success: Literal[True]
    entries: list[HistoryEntry]
    next: str | None


class HistoryEntry(TypedDict):
    """One thing that was said in a session, from Claude's transcript; `at` is null when it does not say. `source`:
    `api` for a message of ours (then `message_id` and `attachments` are its own), `terminal` for what a person
    typed, `peer` for what came in through Claude's inbox socket, `claude` for Claude. `tool_calls`: {id, name,
    input, result?, isError?, truncated}."""

    id: str
    role: Literal["assistant", "command", "system", "user"]
    text: str
    at: NotRequired[int | None]
    conversationId: NotRequired[str]
    source: NotRequired[Literal["api", "claude", "peer", "terminal"]]
    messageId: NotRequired[str | None]
    promptId: NotRequired[str | None]
    attachments: NotRequired[list[dict[str, Any]]]
    toolCalls: NotRequired[list[dict[str, Any]]]
    output: NotRequired[str | None]
    usage: NotRequired[dict[str, int] | None]
    model: NotRequired[str | None]
    stopReason: NotRequired[str | None]
    error: NotRequired[str | None]
    truncated: NotRequired[bool]


class Index(TypedDict):
    """What this is, and where to go."""

    name: str
    version: str
    token: str
    links: dict[str, str]


class InterruptResult(TypedDict):
    """`rung` says what it took."""

    success: Literal[True]
    session: SessionView
    rung: NotRequired[str | None]


class Invitation(TypedDict):
    """For one device, once: `url` opens the dashboard and signs it in, `code` can be typed there."""

    success: Literal[True]
    url: str
    code: str
    scope: Literal["admin", "answer", "chat", "read"]
    until: int


class KeepAliveResult(TypedDict):
    """The legacy answer to keep-alive; `recap` is Claude's summary, `recapSkipped` why there is none."""

    success: Literal[True]
    sessionId: str
    extended: bool
    expiresAt: NotRequired[int | None]
    recap: NotRequired[str | None]
    recapSkipped: NotRequired[str | None]


class KeptBundle(TypedDict):
    """The bundle has come. `arrived`: and became a session, some time ago."""

    success: Literal[True]
    digest: str
    arrived: bool


class LastWords(TypedDict):
    """The beginning of what was said last in a conversation, and by whom."""

    role: Literal["assistant", "user"]
    text: str
    at: int


class LegacyEnded(TypedDict):
    """The legacy answer to ending a session."""

    success: Literal[True]
    message: str
    sessionId: str


class LegacySession(TypedDict):
    """A session as legacy clients read it; times in milliseconds. `pid` is 0 while it sleeps."""

    sessionId: str
    projectPath: str
    createdAt: int
    lastActivity: int
    messageCount: int
    expiresAt: int
    state: Literal["busy", "ended", "hibernated", "idle", "starting", "stopping", "unknown", "waiting"]
    pid: int


class LegacySessions(TypedDict):
    """The list as legacy clients read it."""

    success: Literal[True]
    sessions: list[LegacySession]
    stats: LegacyStats


class LegacyStats(TypedDict):
    """How much room there is; `memoryUsage` in bytes."""

    totalSessions: int
    maxSessions: int
    availableSlots: int
    memoryUsage: int


class LegacyStatus(TypedDict):
    """One session's life; `active` until its time is over, and while it works."""

    sessionId: str
    projectPath: str
    createdAt: int
    lastActivity: int
    messageCount: int
    expiresAt: int
    state: Literal["busy", "ended", "hibernated", "idle", "starting", "stopping", "unknown", "waiting"]
    pid: int
    success: Literal[True]
    timeRemaining: int
    isExpired: bool
    needsWarning: bool
    active: bool


class LinkUsed(TypedDict):
    """What the link stood for is done."""

    success: Literal[True]
    done: str
    sessionId: str


class MessageList(TypedDict):
    """A page of messages, oldest first; `next` is the `after` of the page behind it."""

    success: Literal[True]
    messages: list[MessageView]
    next: NotRequired[str | None]


class MessageOutcome(TypedDict):
    """What became of a message. 200 carries `reply`; with 202 it is on its way, or `waiting` says what for.
    `content` is the reply as legacy clients know it, empty until there is one. `normalized`: in what the text
    that was typed differs from the one that was sent (see the receipt)."""

    success: Literal[True]
    message: str
    requestId: str
    messageId: str
    sessionId: str
    projectPath: str
    state: Literal["accepted", "answered", "cancelled", "failed", "interrupted", "queued", "submitted", "typed"]
    sessionState: Literal["busy", "ended", "hibernated", "idle", "starting", "stopping", "unknown", "waiting"]
    queuePosition: int
    timestamp: int
    deliveryMethod: str
    content: str
    reply: NotRequired[str | None]
    duplicate: NotRequired[bool]
    waiting: NotRequired[Waiting | None]
    permissionMode: NotRequired[str | None]
    usage: NotRequired[dict[str, int] | None]
    toolCalls: NotRequired[list[dict[str, Any]]]
    normalized: NotRequired[list[str]]


class MessageQueue(TypedDict):
    """Those that wait, in their order."""

    success: Literal[True]
    messages: list[MessageView]


class MessageView(TypedDict):
    """A receipt: what was sent, how far it came, when each step was reached, and the reply. `text` is what was sent.
    Where it would not have reached Claude as it is, `typed_text` is what was typed instead, and `normalized` says
    what was changed: `nfc` (decomposed letters were composed), `lines:N` (line separators that became line
    feeds), `control:N` and `invisible:N` (characters that were dropped), `leading:N` (blanks put before a long
    text), `trailing:N` (white space that was dropped at the end). More words may come. `replied` in `steps`:
    `reply` is there, and its state will be `answered` when Claude's transcript says the same, tool calls and
    usage with it. Not every message takes this step. Should the transcript say something else, it wins
    (`reply_changed`)."""

    id: str
    sessionId: str
    state: Literal["accepted", "answered", "cancelled", "failed", "interrupted", "queued", "submitted", "typed"]
    text: str
    createdAt: int
    steps: dict[str, int]
    requestId: NotRequired[str | None]
    reply: NotRequired[str | None]
    error: NotRequired[ErrorBody | None]
    queuePosition: NotRequired[int | None]
    toolCalls: NotRequired[list[dict[str, Any]]]
    usage: NotRequired[dict[str, int] | None]
    source: NotRequired[str]
    kind: NotRequired[Literal["command", "prompt"]]
    attachments: NotRequired[list[dict[str, Any]]]
    typedText: NotRequired[str | None]
    normalized: NotRequired[list[str]]


class Metrics(TypedDict):
    """Counts, latencies and resources."""

    success: Literal[True]
    sessions: dict[str, Any]
    counters: dict[str, Any]
    latency: dict[str, Any]
    perSession: list[dict[str, Any]]


class MoveCalledOff(TypedDict):
    """The session is here. `move`: the one that was called off, if there was one."""

    success: Literal[True]
    session: SessionView
    move: NotRequired[MoveStep | None]


class MoveResult(TypedDict):
    """How far a move is. At a gateway it is done, and `session` is there; without a `move` it was there already."""

    success: Literal[True]
    move: NotRequired[MoveStep | None]
    session: NotRequired[SessionView | None]


class MoveStep(TypedDict):
    """How far a move is, where it began. `word`: what makes a session of the bundle, once this node has let go of
    it."""

    id: str
    to: str
    moved: bool
    word: NotRequired[str | None]


class NewTicket(TypedDict):
    """Leave to open one stream, for `expiresIn` seconds."""

    success: Literal[True]
    ticket: str
    expiresIn: float


class NewToken(TypedDict):
    """A token, and for the only time itself."""

    success: Literal[True]
    token: Token
    secret: str


class NodeView(TypedDict):
    """Which pilotlight answers: `id` is random and stays with its home, `name` is for people."""

    id: str
    name: str


class NoticeList(TypedDict):
    """What was told, and what was not and why, newest first."""

    success: Literal[True]
    notices: list[NoticeView]


class NoticeView(TypedDict):
    """One thing that was told, or was not, and why. `state`: held, sending, told, withdrawn, dropped or failed.
    `received_at` and `shown_at` are what the recipient says."""

    recipient: str
    recipientName: str
    key: str
    kind: str
    title: str
    state: str
    at: int
    session: NotRequired[str | None]
    reason: NotRequired[str]
    toldAt: NotRequired[int | None]
    receivedAt: NotRequired[int | None]
    shownAt: NotRequired[int | None]
    due: NotRequired[int | None]
    via: NotRequired[str]


class OnePermissionRule(TypedDict):
    """The rule as it is in force."""

    success: Literal[True]
    rule: RuleView


class OneRecipient(TypedDict):
    """One, as it is now."""

    success: Literal[True]
    recipient: RecipientView


class OneToken(TypedDict):
    """The token that counts no more."""

    success: Literal[True]
    token: Token


class PermissionRules(TypedDict):
    """Answers given in advance; those without an id stand in the configuration file."""

    success: Literal[True]
    rules: list[RuleView]


class Problem(TypedDict):
    """A refusal or a failure: the legacy `{success, error}` beside RFC 9457's members. `code` is stable, for
    programs."""

    success: Literal[False]
    error: str
    code: str
    retryable: bool
    type: str
    title: str
    status: int
    detail: str
    requestId: NotRequired[str | None]
    data: NotRequired[dict[str, Any]]


class PushKey(TypedDict):
    """The public key of this installation, base64url."""

    success: Literal[True]
    publicKey: str


class Quiet(TypedDict):
    """Hours of every day in which nothing is told, by the recipient's zone; what was held back is told at their end,
    in one."""

    start: str
    end: str


class Receipt(TypedDict):
    """A message: how far it came, when each step was reached, and the reply."""

    id: str
    sessionId: str
    state: Literal["accepted", "answered", "cancelled", "failed", "interrupted", "queued", "submitted", "typed"]
    text: str
    createdAt: int
    steps: dict[str, int]
    requestId: NotRequired[str | None]
    reply: NotRequired[str | None]
    error: NotRequired[ErrorBody | None]
    queuePosition: NotRequired[int | None]
    toolCalls: NotRequired[list[dict[str, Any]]]
    usage: NotRequired[dict[str, int] | None]
    source: NotRequired[str]
    kind: NotRequired[Literal["command", "prompt"]]
    attachments: NotRequired[list[dict[str, Any]]]
    typedText: NotRequired[str | None]
    normalized: NotRequired[list[str]]
    success: Literal[True]
    messageId: str
    content: str


class RecipientList(TypedDict):
    """All of them, those of the configuration first."""

    success: Literal[True]
    recipients: list[RecipientView]


class RecipientView(TypedDict):
    """A recipient or channel as clients see it. `place`: where it is, without what is secret. `configured`: it
    stands in the configuration, and only its rules cannot be changed. `status`: `new` (nothing was sent yet),
    `ok`, `failing` or `muted`."""

    id: str
    kind: Literal["apns", "apprise", "command", "ntfy", "webhook", "webpush"]
    name: str
    place: str
    rules: Rules
    status: Literal["failing", "muted", "new", "ok"]
    configured: NotRequired[bool]
    createdAt: NotRequired[int]
    seenAt: NotRequired[int]
    successAt: NotRequired[int | None]
    errorAt: NotRequired[int | None]
    error: NotRequired[str | None]
    present: NotRequired[bool]
    waiting: NotRequired[int]
    by: NotRequired[str | None]


class RecordingStatus(TypedDict):
    """Whether the terminal is recorded, and how much there is of it."""

    success: Literal[True]
    recording: bool
    bytes: int


class RuleView(TypedDict):
    """An answer given in advance. `id` null: it stands in the configuration file, and is changed there. `used`: how
    often it has answered, as far as the journal goes back."""

    tool: str
    answer: Literal["allow", "deny"]
    pattern: NotRequired[str]
    message: NotRequired[str | None]
    id: NotRequired[str | None]
    by: NotRequired[str | None]
    at: NotRequired[int | None]
    used: NotRequired[int]


class Rules(TypedDict):
    """What one recipient is told. `kinds` and `sessions` null: all. `content` is how much of it leaves this machine.
    `zone` as in `Europe/Vienna`; null: this machine's. `muted_until` in milliseconds since the epoch; -1: for
    ever."""

    kinds: NotRequired[
        list[
            Literal[
                "answered",
                "crashed",
                "expired",
                "failed",
                "limit",
                "login",
                "pressure",
                "scheduled",
                "stuck",
                "waiting",
                "warning",
            ]
        ]
        | None
    ]
    sessions: NotRequired[list[str] | None]
    content: NotRequired[Literal["none", "text", "title"]]
    quiet: NotRequired[Quiet | None]
    zone: NotRequired[str | None]
    mutedUntil: NotRequired[int | None]


class Sample(TypedDict):
    """One measurement: memory in bytes, CPU in percent of one core, messages that were accepted since the one
    before, and how many wait. `sessions`: how many were live."""

    at: int
    memoryBytes: int
    cpuPercent: float
    messages: NotRequired[int]
    queue: NotRequired[int]
    sessions: NotRequired[int]


class SampleSeries(TypedDict):
    """Oldest first: all sessions together, and each by its id if that was asked for."""

    success: Literal[True]
    span: Literal["day", "fortnight", "hour"]
    total: list[Sample]
    sessions: dict[str, list[Sample]]


class ScheduledTask(TypedDict):
    """What Claude has planned to do by itself (CronCreate, ScheduleWakeup, `/loop`). `schedule` is a cron expression
    in the machine's own time, `due_at` when it is due next (ms since the epoch; None: cannot be told), `prompt`
    its beginning. `survives_sleep`: it is not lost with the process, and wakes the session in time."""

    id: str
    schedule: str
    recurring: bool
    prompt: str
    dueAt: NotRequired[int | None]
    survivesSleep: NotRequired[bool]


class Screen(TypedDict):
    """What a person would see. `cursor` is column and row, from 0; `offset` is where the output stream stands."""

    sessionId: str
    cols: int
    rows: int
    cursor: list[int]
    text: str
    html: NotRequired[str | None]
    title: NotRequired[str | None]
    offset: NotRequired[int]


class ScreenResult(TypedDict):
    """What a person would see."""

    success: Literal[True]
    screen: Screen


class SearchHit(TypedDict):
    """Where it was said, and around which words."""

    sessionId: str | None
    conversationId: str
    role: str
    id: str | None
    at: int | None
    title: str | None
    projectPath: str | None
    snippet: str
    marks: list[list[int]]


class SearchResult(TypedDict):
    """The best matches first; `marks` are [start, end) in `snippet`. Not `complete`: ask again."""

    success: Literal[True]
    hits: list[SearchHit]
    complete: bool
    next: str | None


class SessionList(TypedDict):
    """Sessions, the oldest first."""

    success: Literal[True]
    sessions: list[SessionView]
    next: NotRequired[str | None]


class SessionResult(TypedDict):
    """A session."""

    success: Literal[True]
    session: SessionView


class SessionView(TypedDict):
    """One session as clients see it."""

    id: str
    state: Literal["busy", "ended", "hibernated", "idle", "starting", "stopping", "unknown", "waiting"]
    projectPath: str
    createdAt: int
    lastActivity: int
    messageCount: int
    queueLength: int
    waiting: NotRequired[Waiting | None]
    allWaiting: NotRequired[list[Waiting]]
    title: NotRequired[str | None]
    conversationId: NotRequired[str | None]
    pid: NotRequired[int | None]
    holderPid: NotRequired[int | None]
    generation: NotRequired[int]
    expiresAt: NotRequired[int | None]
    endedAt: NotRequired[int | None]
    endReason: NotRequired[Literal["crashed", "exited", "expired", "killed", "lost", "moved", "start_failed"] | None]
    endDetail: NotRequired[str | None]
    currentMessage: NotRequired[str | None]
    backgroundTasks: NotRequired[list[dict[str, Any]]]
    scheduled: NotRequired[list[ScheduledTask]]
    draft: NotRequired[bool]
    attached: NotRequired[int]
    viewers: NotRequired[int]
    writer: NotRequired[str | None]
    warned: NotRequired[bool]
    autoKeepAlive: NotRequired[bool]
    delivery: NotRequired[Literal["interactive", "per_message"]]
    memoryBytes: NotRequired[int | None]
    cpuPercent: NotRequired[float | None]
    claudeVersion: NotRequired[str | None]
    model: NotRequired[str | None]
    permissionMode: NotRequired[str | None]
    effort: NotRequired[str | None]
    addDirs: NotRequired[list[str]]
    settingsPending: NotRequired[bool]
    health: NotRequired[str]
    trust: NotRequired[bool]
    lastWords: NotRequired[LastWords | None]
    seenAt: NotRequired[int]
    movingTo: NotRequired[str | None]
    movedTo: NotRequired[str | None]
    held: NotRequired[str | None]


class SettingsInForce(TypedDict):
    """Every setting that can be changed at run time, the names of those that were, and what the file says of them."""

    success: Literal[True]
    settings: dict[str, Any]
    changed: list[str]
    file: NotRequired[dict[str, Any]]


class SignedOut(TypedDict):
    """The device is let in no more."""

    success: Literal[True]
    device: Device


class Status(TypedDict):
    """Who serves, since when, and every session that is not ended."""

    success: Literal[True]
    pid: int
    version: str
    startedAt: NotRequired[int | None]
    claudeVersion: NotRequired[str | None]
    demo: NotRequired[bool]
    sessions: list[SessionView]
    api: dict[str, Any]
    node: NodeView
    epoch: str


class StreamEnd(TypedDict):
    """The last event of a streamed message: what the call would have answered, its status, and the receipt."""

    success: bool
    status: int
    messageId: str
    sessionId: str
    state: Literal["accepted", "answered", "cancelled", "failed", "interrupted", "queued", "submitted", "typed"]
    receipt: MessageView
    reply: NotRequired[str | None]
    error: NotRequired[str | None]


class StreamedEvent(TypedDict):
    """One event of a stream. `event` is its kind, or `gap`: what came between is not kept any more."""

    id: NotRequired[str | None]
    event: NotRequired[str | None]
    data: str


class Tested(TypedDict):
    """What became of a test, hop by hop; `notice` is its entry in the log, where the device says whether it was
    shown."""

    success: Literal[True]
    notice: NoticeView
    accepted: bool
    detail: str
    milliseconds: int
    hops: list[dict[str, Any]]


class Token(TypedDict):
    """A named token; itself it is shown once, when it is made."""

    name: str
    scope: Literal["admin", "answer", "chat", "read"]
    createdAt: int
    rotatedAt: NotRequired[int | None]


class TokenList(TypedDict):
    """The named tokens, by name."""

    success: Literal[True]
    tokens: list[Token]


class Unhealthy(TypedDict):
    """Nobody answers, and what to do."""

    status: str
    success: NotRequired[Literal[False] | None]
    error: NotRequired[str | None]
    node: NotRequired[NodeView | None]
    epoch: NotRequired[str | None]


class Usage(TypedDict):
    """Tokens: `rows` by day or session, newest first, and the `total` of all of them, whatever the page."""

    success: Literal[True]
    by: Literal["day", "session"]
    rows: list[UsageRow]
    total: dict[str, int]
    complete: bool
    next: str | None


UsageRow = TypedDict(
    "UsageRow",
    {
        "day": "NotRequired[str | None]",
        "sessionId": "NotRequired[str | None]",
        "replies": "int",
        "usage": "dict[str, int]",
        "from": "str",
        "to": "str",
    },
)

Waiting = TypedDict(
    "Waiting",
    {
        "id": "str",
        "for": (
            "Literal['dialog', 'elicitation', 'login', 'peer', 'permission', 'plan', 'question', 'rate_limit', "
            "'setup', 'trust']"
        ),
        "title": "str",
        "text": "str",
        "choices": "NotRequired[list[Choice]]",
        "since": "NotRequired[int]",
        "until": "NotRequired[int | None]",
        "tool": "NotRequired[str | None]",
        "input": "NotRequired[dict[str, Any] | None]",
        "questions": "NotRequired[list[dict[str, Any]] | None]",
        "fields": "NotRequired[list[Field] | None]",
        "suggestions": "NotRequired[list[Any] | None]",
        "agent": "NotRequired[str | None]",
        "preview": "NotRequired[str | None]",
    },
)
