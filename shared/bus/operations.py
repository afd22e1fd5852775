"""Every operation of the bus: its arguments, who may ask for it, and what it leaves behind; `shared.messages` has the envelope,
the views and the events.

An unknown field is refused. `docs/bus.md` explains the operations. What must not regress: `OPERATIONS` is the one place where it
is said what an operation takes and needs, so HTTP and bus let in the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from shared.access.tokens import PLAN, Scope, allows, powerful
from shared.bus.messages import Attachment, ChatMode, Delivery, EndReason, MessageState, SessionState, Until, Wire
from shared.notifications import Rules


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
    delivery: Delivery | None = None
    resume: str | None = None
    fork: bool = False
    asleep: bool = False
    """With `resume`: without a process, until the first message."""

    wait: float = 0.0
    key: str | None = None


class SendMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.send` -> Sent. No session: one is opened for `project_path`. `key` makes a retry harmless.

    `front`: before all that wait. `interrupt`: `front`, and the turn that runs is ended for it. `reopen`: an ended session
    that nobody ended on purpose (expired, exited, crashed) is brought back for it from its transcript. `mode`: the message is
    sent in no other; `planning` is Claude's plan mode, `normal` and `code` undo what a `planning` has done, and nothing else.
    `exact`: a text that would not arrive as it is (but for white space at its end) is refused; without it, what is harmless is
    changed, and the receipt says so (`normalized`).
    `until`: `wait` is over with the whole text (`replied`), where that is known before the message is `answered`.
    `confined`: its `@path` must lie in the project (`chat.mentions`), as for every key below the scope `answer`.
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
    device_token: str | None = None
    exact: bool = False
    confined: bool = False
    until: Until = "answered"


class MoveMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.move` -> {messages: [MessageView]}: the queue in its new order, at most its first 1,000. `position` counts those
    that wait, from 0."""

    message_id: str
    position: int


class SessionRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.get`, `session.reopen`, `session.wake`, `session.recycle` -> SessionView; `session.interrupt` ->
    {session, rung}."""

    session_id: str
    key: str | None = None


class HibernateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.hibernate` -> SessionView. What Claude has planned and would be lost, or is due within ten minutes, is refused
    unless `lose_scheduled`; what is planned for later wakes the session in time."""

    session_id: str
    lose_scheduled: bool = False
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


class ExportRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`export` -> {name, contentType, text, next}: the whole history, in parts. `next`, unless it is null, is the `after` of the
    part that follows; the texts of all parts, one behind the other, are the file."""

    session_id: str
    format: Literal["markdown", "json"] = "markdown"
    after: str | None = None


class SearchRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`search` -> {hits: [{sessionId, conversationId, role, id, at, title, projectPath, snippet, marks}], complete, next}.

    Words and "phrases"; `everywhere` also in conversations that `claude` made elsewhere, whose `sessionId` is null.
    """

    query: str
    limit: int = 20
    session_id: str | None = None
    everywhere: bool = True
    after: str | None = None


class UsageRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`usage` -> {by, rows: [{day | sessionId, replies, usage, from, to}], total, complete, next}."""

    by: Literal["day", "session"] = "day"
    session_id: str | None = None
    after: str | None = None
    limit: int | None = None


class ListConversations(Wire, frozen=True, forbid_unknown_fields=True):
    """`conversations.list` -> {conversations, next}: those that `claude` made elsewhere on this machine, newest first."""

    project_path: str | None = None
    limit: int = 50
    after: str | None = None


class ConversationHistory(Wire, frozen=True, forbid_unknown_fields=True):
    """`conversation.history` -> HistoryPage of a conversation that `claude` made elsewhere on this machine; it stays as it
    is."""

    conversation_id: str
    before: str | None = None
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


class ListSessions(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.list` -> {sessions: [SessionView], next}, oldest first; ended ones on request. Without `limit` all of them."""

    state: SessionState | None = None
    include_ended: bool = False
    begins_with: str = ""
    after: str | None = None
    limit: int | None = None


class MessageRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.get` (waits up to `wait` for it to settle, or `until` it is `replied`), `message.cancel` -> MessageView."""

    message_id: str
    wait: float = 0.0
    until: Until = "answered"


class ListMessages(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.list` -> {messages: [MessageView], next: cursor | null}, oldest first; long messages make short pages."""

    session_id: str
    after: str | None = None
    limit: int = 100
    state: MessageState | None = None


class Answer(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.answer` -> {session, answer}. `waiting_id` guards against answering something newer; first answer wins. `text` is
    the answer in one's own words, or goes into the input line of a dialog that offers no list. `answers` has an answer, or a list
    of them, for each question or its number, or each field of a form; an option may be named by its number. `partial`: the others
    stay open."""

    session_id: str
    waiting_id: str | None = None
    choice: str | None = None
    text: str | None = None
    answers: dict[str, str | list[str]] | None = None
    partial: bool = False
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
    delivery: Delivery | UnsetType | None = UNSET
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


class EventsPage(Wire, frozen=True, forbid_unknown_fields=True):
    """`events.page` -> {events, next, epoch}: the journal backwards, newest first. `next` is the `before` of the page behind
    it; null at its end. `actor`: what this one did, as in `device:Ada's phone`."""

    before: int | None = None
    limit: int = 100
    session_id: str | None = None
    kinds: list[str] | None = None
    actor: str | None = None


class SamplesRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`samples` -> {span, total: [Sample], sessions: {id: [Sample]}}: what was measured, oldest first. `sessions` has each live
    session's last hour when `each` is true."""

    span: Literal["hour", "day", "fortnight"] = "hour"
    each: bool = False


class MarkSeen(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.seen` -> SessionView: a person has seen what was said up to `at` (milliseconds; null: now). It never goes back,
    wakes nothing and is no activity."""

    session_id: str
    at: int | None = None


class DraftRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`draft.get` -> {text, at, by}: what somebody has begun to write to this session; an empty text is none."""

    session_id: str


class KeepDraft(Wire, frozen=True, forbid_unknown_fields=True):
    """`draft.set` -> {text, at, by}: keep it for the other devices; an empty text forgets it."""

    session_id: str
    text: str


class UpdateMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.update` -> MessageView: another text for a message that waits in the queue, in its place; 409 when it does not
    wait any more. Its files stay."""

    message_id: str
    text: str
    confined: bool = False


class ListFolders(Wire, frozen=True, forbid_unknown_fields=True):
    """`folders.list` -> {path, parent, folders: [{path, name, kind}], roots}: where a session may be opened. Without a path the
    recent and the trusted ones; with one what begins like it, within `roots`."""

    path: str | None = None
    limit: int = 50


class AddRule(Wire, frozen=True, forbid_unknown_fields=True):
    """`rule.add` -> RuleView: an answer given in advance from now on, beside those of the configuration file
    (`permissions.rules`). One that refuses wins over one that allows."""

    tool: str
    answer: Literal["allow", "deny"]
    pattern: str = "*"
    message: str | None = None


class RuleRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`rule.remove` -> {}: one that was added at run time counts no more."""

    rule_id: str


class Nothing(Wire, frozen=True, forbid_unknown_fields=True):
    """No arguments: `ping`, `status`, `health`, `metrics`, `settings.get`; `rule.list` -> {rules: [RuleView]};
    `recipient.list` -> {recipients: [RecipientView]}; `notification.key` -> {publicKey}: what a browser subscribes with."""


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


class AddRecipient(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.add` -> RecipientView: a browser, a phone or a service that is told from now on; the same `target` again
    is the same recipient, and keeps its rules unless others are given.

    `target`: of `webpush` what `PushSubscription.toJSON()` gives; of `ntfy` {server, topic, token?}; of `webhook` {url, secret?,
    form?: json | slack | teams}; of `apns` {token, environment?}. It is not shown again.
    """

    kind: Literal["webpush", "ntfy", "webhook", "apns"]
    name: str
    target: dict[str, Any]
    rules: Rules | None = None


class UpdateRecipient(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.update` -> RecipientView: another name, or other rules (all of them)."""

    recipient_id: str
    name: str | None = None
    rules: Rules | None = None


class RecipientRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.test` -> TestResult: one notification, past all rules. `recipient.remove` -> {}."""

    recipient_id: str


class SetPresence(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.presence` -> RecipientView: somebody looks at this device (believed for 75 s), or does not any more."""

    recipient_id: str
    present: bool


class ListNotices(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.log` -> {notices: [NoticeView]}: what was told, and what was not and why, newest first."""

    limit: int = 100
    recipient_id: str | None = None


class NoticeReceipt(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.receipt` -> {}: the device has received, or shown, the notification with this `key`."""

    recipient_id: str
    key: str
    step: Literal["received", "shown"]


class UseLink(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.link` -> {done, sessionId}: what the link of a notification's button stands for. Once."""

    token: str


THEMSELVES = ("webpush", "apns")
"""Devices that register themselves; whoever adds another kind says where pilotlight sends to."""

Effect = Literal["looks", "acts", "sends", "opens"]
"""What an operation leaves behind: nothing that lasts; an `audit` event when it is asked for; one with the message that it
accepts, or with the session that it opens."""


@dataclass(frozen=True)
class Operation:
    """One operation of the bus. `scope` None: for pilotlight's own processes on this machine only."""

    name: str
    arguments: type[Any]
    scope: Scope | None
    effect: Effect


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("ping", Nothing, "read", "looks"),
        Operation("status", Nothing, "read", "looks"),
        Operation("health", Nothing, "read", "looks"),
        Operation("metrics", Nothing, "read", "looks"),
        Operation("settings.get", Nothing, "read", "looks"),
        Operation("settings.patch", SettingsPatch, "admin", "acts"),
        Operation("shutdown", Shutdown, "admin", "acts"),
        Operation("audit.refused", RefusedCall, None, "acts"),
        Operation("events.since", EventsSince, "read", "looks"),
        Operation("events.page", EventsPage, "read", "looks"),
        Operation("samples", SamplesRequest, "read", "looks"),
        Operation("session.list", ListSessions, "read", "looks"),
        Operation("session.get", SessionRef, "read", "looks"),
        Operation("session.seen", MarkSeen, "read", "looks"),
        Operation("draft.get", DraftRef, "chat", "looks"),
        Operation("draft.set", KeepDraft, "chat", "looks"),
        Operation("folders.list", ListFolders, "chat", "looks"),
        Operation("session.create", CreateSession, "chat", "opens"),
        Operation("session.fork", ForkSession, "chat", "opens"),
        Operation("session.update", UpdateSession, "chat", "acts"),
        Operation("session.wake", SessionRef, "chat", "acts"),
        Operation("session.reopen", SessionRef, "chat", "acts"),
        Operation("session.interrupt", SessionRef, "chat", "acts"),
        Operation("session.keep_alive", KeepAlive, "chat", "acts"),
        Operation("session.answer", Answer, "answer", "acts"),
        Operation("session.hibernate", HibernateSession, "admin", "acts"),
        Operation("session.recycle", SessionRef, "admin", "acts"),
        Operation("session.kill", StopSession, "admin", "acts"),
        Operation("session.command", RunCommand, "admin", "sends"),
        Operation("session.screen", ScreenRequest, "read", "looks"),
        Operation("session.recording", RecordingRequest, "read", "acts"),
        Operation("session.keys", SendKeys, "admin", "acts"),
        Operation("session.resize", Resize, "admin", "acts"),
        Operation("message.get", MessageRef, "read", "looks"),
        Operation("message.list", ListMessages, "read", "looks"),
        Operation("message.send", SendMessage, "chat", "sends"),
        Operation("message.cancel", MessageRef, "chat", "acts"),
        Operation("message.update", UpdateMessage, "chat", "acts"),
        Operation("message.move", MoveMessage, "chat", "acts"),
        Operation("history", HistoryRequest, "read", "looks"),
        Operation("export", ExportRequest, "read", "looks"),
        Operation("search", SearchRequest, "read", "looks"),
        Operation("usage", UsageRequest, "read", "looks"),
        Operation("conversations.list", ListConversations, "admin", "looks"),
        Operation("conversation.history", ConversationHistory, "admin", "looks"),
        Operation("rule.list", Nothing, "read", "looks"),
        Operation("rule.add", AddRule, "admin", "acts"),
        Operation("rule.remove", RuleRef, "admin", "acts"),
        Operation("recipient.list", Nothing, "read", "looks"),
        Operation("recipient.add", AddRecipient, "read", "acts"),
        Operation("recipient.update", UpdateRecipient, "chat", "acts"),
        Operation("recipient.remove", RecipientRef, "chat", "acts"),
        Operation("recipient.test", RecipientRef, "chat", "acts"),
        Operation("recipient.presence", SetPresence, "read", "looks"),
        Operation("notification.key", Nothing, "read", "looks"),
        Operation("notification.log", ListNotices, "read", "looks"),
        Operation("notification.receipt", NoticeReceipt, "read", "looks"),
        Operation("notification.link", UseLink, "answer", "acts"),
    )
}
"""Everything that can be asked for, each said once: who may (`needed` adds what the arguments ask for beside), and what it
leaves behind. The supervisor's table, the audit, the grants of bus keys and the scopes of the HTTP calls come from it or are
tested against it."""


def with_effect(*effects: Effect) -> frozenset[str]:
    """The names of the operations that leave this behind."""
    return frozenset(name for name, operation in OPERATIONS.items() if operation.effect in effects)


def needed(op: str, args: Mapping[str, Any]) -> Scope:
    """The scope that this operation takes with these arguments (camelCase); `admin` for one that is not known."""
    known = OPERATIONS.get(op)
    scope: Scope = (known.scope if known is not None else None) or "admin"
    changing = op == "session.update"
    if not changing and args.get("permissionMode") == PLAN:
        args = {name: given for name, given in args.items() if name != "permissionMode"}
    if op == "recipient.add" and args.get("kind", "webpush") not in THEMSELVES:
        return "admin"
    if powerful(args, changing=changing) or (op == "session.recording" and args.get("start") is not None):
        return "admin"
    return "answer" if args.get("trust") and not allows(scope, "answer") else scope


SENDS = with_effect("sends")
"""What gives Claude words of a client: recorded when it is accepted, since only then its session is known."""

OPENS = with_effect("opens")
"""What makes a session: recorded when there is one, under its id."""
