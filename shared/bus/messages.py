"""The bus schema in one version: envelope, replies, views and events; what each operation takes is in `shared.operations`.

Wire form is JSON with camelCase names. A request is one frame `{v, id, op, args, deadline, actor, sent, timeout}`; its reply is
`{v, id, ok, result}` or `{v, id, ok: false, error: {code, message, status, retryable, data}}`. The same `id` sent twice
gets the same reply. An event is two frames: the topic `session.<id>.<kind>` or `supervisor.<kind>`, and the body
`{v, epoch, seq, at, kind, session, data}`. All times are milliseconds since the epoch; every `wait` is in seconds.
`docs/bus.md` explains it to people who write monitors.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from shared.errors import PilotlightError

VERSION = 1
MAX_FRAME_BYTES = 48 * 1024 * 1024
"""Largest request frame: ten attachments would not fit into less; more is refused unread."""

MAX_MESSAGE_BYTES = 100_000
"""Largest chat message (UTF-8 bytes); the legacy limit."""

MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024
MAX_ATTACHMENTS = 10

SessionState = Literal["starting", "idle", "busy", "waiting", "hibernated", "stopping", "unknown", "ended"]
WaitingFor = Literal[
    "permission", "question", "plan", "elicitation", "trust", "setup", "login", "rate_limit", "peer", "dialog"
]
FieldType = Literal["text", "boolean", "enum", "number", "integer"]
EndReason = Literal["killed", "expired", "exited", "crashed", "start_failed", "lost", "moved"]
MessageKind = Literal["prompt", "command"]
ChatMode = Literal["normal", "planning", "code"]
Delivery = Literal["interactive", "per_message"]
MessageState = Literal["accepted", "queued", "typed", "submitted", "answered", "failed", "interrupted", "cancelled"]

Until = Literal["replied", "answered"]
"""How far a message is waited for: `replied` is the whole text, before its tool calls and usage are known."""

SETTLED: frozenset[str] = frozenset({"answered", "failed", "interrupted", "cancelled"})
"""Message states that never change again."""


class Wire(Struct, rename="camel", frozen=True, kw_only=True):
    """Base of everything on the wire."""


class ErrorBody(Wire, frozen=True):
    """Why a request was refused; `status` is the HTTP status for it."""

    code: str
    message: str
    status: int = 500
    retryable: bool = False
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: PilotlightError) -> ErrorBody:
        """The error as it goes over the wire, and into the record."""
        return cls(error.error_code, error.message, error.status, error.retryable, error.data)


class Request(Wire, frozen=True):
    """One request; `deadline` is when the caller stops waiting (0: never), `actor` who asks, for the record, `sent` when it was
    sent for the first time (0: not told), both by the caller's clock. `timeout` is what is left of the caller's patience when
    this frame is sent, in milliseconds (0: not told): between two machines it counts, and the clocks do not."""

    v: int
    id: str
    op: str
    args: dict[str, Any] = field(default_factory=dict)
    deadline: int = 0
    actor: str = "local"
    sent: int = 0
    timeout: int = 0


class Reply(Wire, frozen=True):
    """The answer to one request."""

    v: int
    id: str
    ok: bool
    result: Any = None
    error: ErrorBody | None = None


class NodeView(Wire, frozen=True):
    """Which pilotlight answers: `id` is random and stays with its home, `name` is for people."""

    id: str
    name: str


class Event(Wire, frozen=True):
    """One journal entry. `seq` has no gaps within an `epoch`, and an epoch lasts as long as the database. `node` is the id of
    the pilotlight that it comes from."""

    v: int
    epoch: str
    seq: int
    at: int
    kind: str
    session: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    node: str = ""

    @property
    def topic(self) -> str:
        """The ZeroMQ topic of this event."""
        return f"session.{self.session}.{self.kind}" if self.session else f"supervisor.{self.kind}"


class Choice(Wire, frozen=True):
    """One thing that a waiting session can be answered with."""

    id: str
    label: str
    description: str | None = None
    selected: bool = False


class Field(Wire, frozen=True):
    """One field of a form. `value`: what it has unless something else is said, in an answer's words. `choices`: of an enum, whose
    values are their ids; `several`: any number of them."""

    name: str
    type: FieldType = "text"
    label: str = ""
    description: str | None = None
    required: bool = False
    several: bool = False
    choices: list[Choice] = field(default_factory=list)
    value: str | list[str] | None = None


class Waiting(Wire, frozen=True):
    """What a session waits for, as data that a client can turn into buttons."""

    id: str
    kind: WaitingFor = field(name="for")
    title: str
    text: str
    choices: list[Choice] = field(default_factory=list)
    since: int = 0
    until: int | None = None
    tool: str | None = None
    input: dict[str, Any] | None = None
    questions: list[dict[str, Any]] | None = None
    fields: list[Field] | None = None
    """What an MCP server asks to have filled in."""

    suggestions: list[Any] | None = None
    agent: str | None = None
    """The type of the subagent that asks; None when it is the conversation itself."""

    preview: str | None = None
    """Of an edit of a file in the project: what would change there, as a unified diff with line numbers."""


class LastWords(Wire, frozen=True):
    """The beginning of what was said last in a conversation, and by whom."""

    role: Literal["user", "assistant"]
    text: str
    at: int


class Sample(Wire, frozen=True):
    """One measurement: memory in bytes, CPU in percent of one core, messages that were accepted since the one before, and how
    many wait. `sessions`: how many were live."""

    at: int
    memory_bytes: int
    cpu_percent: float
    messages: int = 0
    queue: int = 0
    sessions: int = 0


class RuleView(Wire, frozen=True):
    """An answer given in advance. `id` null: it stands in the configuration file, and is changed there. `used`: how often it has
    answered, as far as the journal goes back."""

    tool: str
    answer: Literal["allow", "deny"]
    pattern: str = "*"
    message: str | None = None
    id: str | None = None
    by: str | None = None
    at: int | None = None
    used: int = 0


class ScheduledTask(Wire, frozen=True):
    """What Claude has planned to do by itself (CronCreate, ScheduleWakeup, `/loop`).

    `schedule` is a cron expression in the machine's own time, `due_at` when it is due next (ms since the epoch; None: cannot be
    told), `prompt` its beginning. `survives_sleep`: it is not lost with the process, and wakes the session in time.
    """

    id: str
    schedule: str
    recurring: bool
    prompt: str
    due_at: int | None = None
    survives_sleep: bool = False


class SessionView(Wire, frozen=True):
    """One session as clients see it."""

    id: str
    state: SessionState
    project_path: str
    created_at: int
    last_activity: int
    message_count: int
    queue_length: int
    waiting: Waiting | None = None
    all_waiting: list[Waiting] = field(default_factory=list)
    """All that waits for a person, in Claude's order; the first is `waiting`."""

    title: str | None = None
    conversation_id: str | None = None
    pid: int | None = None
    holder_pid: int | None = None
    generation: int = 0
    expires_at: int | None = None
    ended_at: int | None = None
    end_reason: EndReason | None = None
    end_detail: str | None = None
    current_message: str | None = None
    background_tasks: list[dict[str, Any]] = field(default_factory=list)
    scheduled: list[ScheduledTask] = field(default_factory=list)
    """What Claude has planned to do by itself."""

    draft: bool = False
    attached: int = 0
    viewers: int = 0
    writer: str | None = None
    warned: bool = False
    auto_keep_alive: bool = False
    delivery: Delivery = "interactive"
    """How its messages reach Claude: through the prompt box of one process, or by one process for each."""

    memory_bytes: int | None = None
    cpu_percent: float | None = None
    claude_version: str | None = None
    model: str | None = None
    permission_mode: str | None = None
    effort: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    settings_pending: bool = False
    health: str = "ok"
    trust: bool = False
    last_words: LastWords | None = None
    """What was said last, by either, cut to its beginning."""

    seen_at: int = 0
    """Up to when a person has seen what was said, on any device; 0: never."""

    moving_to: str | None = None
    moved_to: str | None = None
    held: str | None = None
    """Why nothing of the queue is being sent, in a sentence; None while it moves, and when nothing waits."""


class MessageView(Wire, frozen=True):
    """A receipt: what was sent, how far it came, when each step was reached, and the reply.

    `text` is what was sent. Where it would not have reached Claude as it is, `typed_text` is what was typed instead, and
    `normalized` says what was changed: `nfc` (decomposed letters were composed), `lines:N` (line separators that became line
    feeds), `control:N` and `invisible:N` (characters that were dropped), `leading:N` (blanks put before a long text),
    `trailing:N` (white space that was dropped at the end). More words may come.

    `replied` in `steps`: `reply` is there, and its state will be `answered` when Claude's transcript says the same, tool calls
    and usage with it. Not every message takes this step. Should the transcript say something else, it wins (`reply_changed`).
    """

    id: str
    session_id: str
    state: MessageState
    text: str
    created_at: int
    steps: dict[str, int]
    request_id: str | None = None
    reply: str | None = None
    error: ErrorBody | None = None
    queue_position: int | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] | None = None
    source: str = "api"
    kind: MessageKind = "prompt"
    attachments: list[dict[str, Any]] = field(default_factory=list)
    typed_text: str | None = None
    normalized: list[str] = field(default_factory=list)


def has_come(message: MessageView, until: Until) -> bool:
    """Whether a message has come as far as it is waited for."""
    return message.state in SETTLED or (until == "replied" and "replied" in message.steps)


class Attachment(Wire, frozen=True):
    """A file for Claude to read; `data` is base64."""

    data: str
    name: str
    mime_type: str | None = None
    size: int | None = None


class Sent(Wire, frozen=True):
    """The receipt of a message, its session, whether the key had been seen before, and what ended the turn before it. `pushed`:
    the reply goes to the device whose token came with it."""

    message: MessageView
    session: SessionView
    duplicate: bool = False
    interrupted: str | None = None
    pushed: bool = False


class HistoryEntry(Wire, frozen=True):
    """One thing that was said in a session, from Claude's transcript; `at` is null when it does not say.

    `source`: `api` for a message of ours (then `message_id` and `attachments` are its own), `terminal` for what a person
    typed, `peer` for what came in through Claude's inbox socket, `claude` for Claude. `tool_calls`: {id, name, input, result?,
    isError?, truncated}.
    """

    id: str
    role: Literal["user", "assistant", "command", "system"]
    text: str
    at: int | None = None
    conversation_id: str = ""
    source: Literal["api", "terminal", "peer", "claude"] = "claude"
    message_id: str | None = None
    prompt_id: str | None = None
    attachments: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    output: str | None = None
    usage: dict[str, int] | None = None
    model: str | None = None
    stop_reason: str | None = None
    error: str | None = None
    truncated: bool = False


class HistoryPage(Wire, frozen=True):
    """A page of history, oldest entry first; `next` leads to the page before it, null at the beginning."""

    entries: list[HistoryEntry]
    next: str | None = None


class CommandResult(Wire, frozen=True):
    """`state` as a message's; `output` in the CLI's words; `waiting` when the command has opened a dialog."""

    message_id: str
    state: MessageState
    session: SessionView
    output: str | None = None
    waiting: Waiting | None = None
    error: ErrorBody | None = None
    duplicate: bool = False


class Screen(Wire, frozen=True):
    """What a person would see. `cursor` is column and row, from 0; `offset` is where the output stream stands."""

    session_id: str
    cols: int
    rows: int
    cursor: tuple[int, int]
    text: str
    html: str | None = None
    title: str | None = None
    offset: int = 0


class SupervisorStatus(Wire, frozen=True):
    """`status`: who serves, since when, and every session that is not ended."""

    pid: int
    version: str
    started_at: int
    epoch: str
    head: int
    ready: bool
    sessions: list[SessionView]
    claude_command: str | None = None
    claude_version: str | None = None
    claude_error: str | None = None
    demo: bool = False
    node: NodeView | None = None
