"""The arguments of the operations on messages, and on what was said: history, search, usage and conversations made elsewhere.

`shared.bus.operations` says who may ask for which, `docs/bus.md` explains them. What must not regress: an unknown field is
refused; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from shared.bus.messages import Attachment, ChatMode, MessageState, Until, Wire


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


class RunCommand(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.command` -> CommandResult: a slash command, in the queue like a message, never as a prompt."""

    session_id: str
    command: str
    wait: float = 30.0
    key: str | None = None


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


class UpdateMessage(Wire, frozen=True, forbid_unknown_fields=True):
    """`message.update` -> MessageView: another text for a message that waits in the queue, in its place; 409 when it does not
    wait any more. Its files stay."""

    message_id: str
    text: str
    confined: bool = False
