"""What the calls on messages answer, and those on what was said: history, search, usage, conversations made elsewhere.

What must not regress: more members may come, and those without a default are always there.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from api.reference.shapes import Shape, Success
from shared.bus.messages import (
    HistoryEntry,
    MessageState,
    MessageView,
    SessionState,
    SessionView,
    Waiting,
)


class MessageOutcome(Success, frozen=True, kw_only=True):
    """What became of a message. 200 carries `reply`; with 202 it is on its way, or `waiting` says what for. `content` is the
    reply as legacy clients know it, empty until there is one. `normalized`: in what the text that was typed differs from
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
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    normalized: list[str] = field(default_factory=list)


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


class Receipt(MessageView, frozen=True, kw_only=True):
    """A message: how far it came, when each step was reached, and the reply."""

    success: Literal[True]
    message_id: str
    content: str


class MessageList(Success, frozen=True, kw_only=True):
    """A page of messages, oldest first; `next` is the `after` of the page behind it."""

    messages: list[MessageView]
    next: str | None = None


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


class Draft(Success, frozen=True, kw_only=True):
    """What was begun, when, and on which device; an empty text is none."""

    text: str
    at: int
    by: str | None = None
