"""The bus schema: every request, reply, view and event, in one place and one version.

Wire form is JSON with camelCase names. A request is one frame `{v, id, op, args, deadline, actor, sent, timeout}`; its reply is
`{v, id, ok, result}` or `{v, id, ok: false, error: {code, message, status, retryable, data}}`. The same `id` sent twice
gets the same reply. An event is two frames: the topic `session.<id>.<kind>` or `supervisor.<kind>`, and the body
`{v, epoch, seq, at, kind, session, data}`. All times are milliseconds since the epoch; every `wait` is in seconds.
`docs/bus.md` explains it to people who write monitors.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

VERSION = 1
MAX_FRAME_BYTES = 48 * 1024 * 1024
"""Largest request frame: ten attachments would not fit into less; more is refused unread."""

MAX_MESSAGE_BYTES = 100_000
"""Largest chat message (UTF-8 bytes); the origin's limit."""

MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024
MAX_ATTACHMENTS = 10

SessionState = Literal["starting", "idle", "busy", "waiting", "hibernated", "stopping", "unknown", "ended"]
WaitingFor = Literal["permission", "question", "plan", "trust", "setup", "login", "rate_limit", "dialog"]
EndReason = Literal["killed", "expired", "exited", "crashed", "start_failed", "lost"]
MessageKind = Literal["prompt", "command"]
ChatMode = Literal["normal", "planning", "code"]
MessageState = Literal["accepted", "queued", "typed", "submitted", "answered", "failed", "interrupted", "cancelled"]

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


class Event(Wire, frozen=True):
    """One journal entry. `seq` has no gaps within an `epoch`, and an epoch lasts as long as the database."""

    v: int
    epoch: str
    seq: int
    at: int
    kind: str
    session: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

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
    suggestions: list[Any] | None = None


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
    draft: bool = False
    attached: int = 0
    viewers: int = 0
    writer: str | None = None
    warned: bool = False
    auto_keep_alive: bool = False
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


class MessageView(Wire, frozen=True):
    """A receipt: what was sent, how far it came, when each step was reached, and the reply."""

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


class Attachment(Wire, frozen=True):
    """A file for Claude to read; `data` is base64."""

    data: str
    name: str
    mime_type: str | None = None
    size: int | None = None


class CreateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.create` -> SessionView. `trust` answers the folder-trust dialog, and only that one."""

    project_path: str
    title: str | None = None
    trust: bool = False
    model: str | None = None
    permission_mode: str | None = None
    effort: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    mcp_config: str | dict[str, Any] | None = None
    append_system_prompt: str | None = None
    auto_keep_alive: bool | None = None
    resume: str | None = None
    fork: bool = False
    wait: float = 0.0
    key: str | None = None


class SendMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.send` -> Sent. No session: one is opened for `project_path`. `key` makes a retry harmless.

    `front`: before all that wait. `interrupt`: `front`, and the turn that runs is ended for it. `reopen`: an ended session
    that nobody ended on purpose (expired, exited, crashed) is brought back for it from its transcript. `mode`: the message is
    sent in no other; `planning` is Claude's plan mode, `normal` and `code` undo what a `planning` has done, and nothing else.
    """

    text: str
    session_id: str | None = None
    project_path: str | None = None
    title: str | None = None
    trust: bool = False
    wait: float = 0.0
    key: str | None = None
    attachments: list[Attachment] = field(default_factory=list)
    front: bool = False
    permission_mode: str | None = None
    model: str | None = None
    interrupt: bool = False
    reopen: bool = False
    mode: ChatMode | None = None


class Sent(Wire, frozen=True):
    """The receipt of a message, its session, whether the key had been seen before, and what ended the turn before it."""

    message: MessageView
    session: SessionView
    duplicate: bool = False
    interrupted: str | None = None


class MoveMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.move` -> {messages: [MessageView]}: the queue in its new order. `position` counts those that wait, from 0."""

    message_id: str
    position: int


class SessionRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.get`, `session.reopen`, `session.hibernate`, `session.wake` -> SessionView; `session.interrupt` ->
    {session, rung}."""

    session_id: str
    key: str | None = None


class StopSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.kill` -> SessionView, when nothing of its process tree is left."""

    session_id: str
    reason: EndReason = "killed"
    key: str | None = None


class HistoryRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`history` -> HistoryPage: the newest `limit` entries, or those before a page (`before` is that page's `next`)."""

    session_id: str
    before: str | None = None
    limit: int = 50


class HistoryEntry(Wire, frozen=True):
    """One thing that was said in a session, from Claude's transcript; `at` is null when it does not say.

    `source`: `api` for a message of ours (then `message_id` and `attachments` are its own), `terminal` for what a person
    typed, `claude` for Claude. `tool_calls`: {id, name, input, result?, isError?, truncated}.
    """

    id: str
    role: Literal["user", "assistant", "command", "system"]
    text: str
    at: int | None = None
    conversation_id: str = ""
    source: Literal["api", "terminal", "claude"] = "claude"
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


class ExportRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`export` -> {name, contentType, text}: the whole history."""

    session_id: str
    format: Literal["markdown", "json"] = "markdown"


class SearchRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`search` -> {hits: [{sessionId, conversationId, role, id, at, title, projectPath, snippet, marks}], complete}.

    Words and "phrases"; `everywhere` also in conversations that `claude` made elsewhere, whose `sessionId` is null.
    """

    query: str
    limit: int = 20
    session_id: str | None = None
    everywhere: bool = True


class UsageRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`usage` -> {by, rows: [{day | sessionId, replies, usage, from, to}], total, complete}."""

    by: Literal["day", "session"] = "day"
    session_id: str | None = None


class ListConversations(Wire, frozen=True, forbid_unknown_fields=True):
    """`conversations.list` -> {conversations}: those that `claude` made elsewhere on this machine, newest first."""

    project_path: str | None = None
    limit: int = 50


class ForkSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.fork` -> SessionView of a new session that goes on from where this one is; this one stays as it is."""

    session_id: str
    title: str | None = None
    key: str | None = None


class RunCommand(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.command` -> CommandResult: a slash command, in the queue like a message, never as a prompt."""

    session_id: str
    command: str
    wait: float = 30.0
    key: str | None = None


class CommandResult(Wire, frozen=True):
    """`state` as a message's; `output` in the CLI's words; `waiting` when the command has opened a dialog."""

    message_id: str
    state: MessageState
    session: SessionView
    output: str | None = None
    waiting: Waiting | None = None
    error: ErrorBody | None = None
    duplicate: bool = False


class ListSessions(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.list` -> {sessions: [SessionView]}; ended ones on request."""

    state: SessionState | None = None
    include_ended: bool = False


class MessageRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.get` (waits up to `wait` for it to settle), `message.cancel` -> MessageView."""

    message_id: str
    wait: float = 0.0


class ListMessages(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.list` -> {messages: [MessageView], next: cursor | null}, oldest first."""

    session_id: str
    after: str | None = None
    limit: int = 100
    state: MessageState | None = None


class Answer(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.answer` -> {session, answer}. `waiting_id` guards against answering something newer; first answer wins. `text` is
    the answer in one's own words, or goes into the input line of a dialog that offers no list."""

    session_id: str
    waiting_id: str | None = None
    choice: str | None = None
    text: str | None = None
    answers: dict[str, str] | None = None
    updated_input: dict[str, Any] | None = None
    key: str | None = None


class KeepAlive(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.keep_alive` -> {session, recap, recapSkipped}. `recap` also asks Claude for a summary, within `wait` seconds and
    only of a session at rest; without one, `recap_skipped` says why in a word. The life is prolonged in any case."""

    session_id: str
    action: Literal["extend", "recap"] = "extend"
    wait: float = 120.0
    key: str | None = None


class UpdateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.update` -> SessionView; what needs a new process is applied by recycling between turns."""

    session_id: str
    title: str | UnsetType | None = UNSET
    auto_keep_alive: bool | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    permission_mode: str | UnsetType | None = UNSET
    effort: str | UnsetType | None = UNSET
    add_dirs: list[str] | UnsetType | None = UNSET
    mcp_config: str | dict[str, Any] | UnsetType | None = UNSET
    append_system_prompt: str | UnsetType | None = UNSET


class EventsSince(Wire, frozen=True, forbid_unknown_fields=True):
    """`events.since` -> {epoch, head, oldest, events, gap}; `gap` is true when `seq + 1` is no longer kept."""

    seq: int = 0
    limit: int = 500
    session_id: str | None = None
    kinds: list[str] | None = None


class Nothing(Wire, frozen=True, forbid_unknown_fields=True):
    """No arguments: `ping`, `status`, `health`, `metrics`, `settings.get`."""


class RefusedCall(Wire, frozen=True, forbid_unknown_fields=True):
    """`audit.refused` -> {}: the API has refused a call whose token has too small a scope. On this machine only."""

    call: str
    needed: str
    scope: str
    session_id: str | None = None


class Shutdown(Wire, frozen=True, forbid_unknown_fields=True):
    """`shutdown` -> {stopped}: end the supervisor, and with `sessions` every process tree first."""

    sessions: bool = False


class SettingsPatch(Wire, frozen=True, forbid_unknown_fields=True):
    """`settings.patch` -> the settings in force; keys as in the configuration file, `section.key: value`."""

    values: dict[str, Any]


class ScreenRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.screen` -> Screen."""

    session_id: str
    history: bool = False
    html: bool = False


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


class Resize(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.resize` -> SessionView. Within 20-500 x 5-200; refused while a person has the keyboard. Not kept when the
    process is replaced."""

    session_id: str
    cols: int
    rows: int
    key: str | None = None


class RecordingRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.recording` -> {recording, files, bytes}: start it, end it, or look at it."""

    session_id: str
    start: bool | None = None
    key: str | None = None


class SendKeys(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.keys` -> SessionView. Raw keyboard input (`text`) or named keys (`Enter`, `Escape`, `C-c`, ...); 409 `not_writer`
    while somebody at a terminal has the keyboard."""

    session_id: str
    keys: list[str] = field(default_factory=list)
    text: str | None = None
    key: str | None = None


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
