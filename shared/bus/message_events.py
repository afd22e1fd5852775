"""Events of messages and of what Claude does: prompts, replies, tools, conversations.

What must not regress: the names on the wire are a contract, and stay; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType, field

from shared.bus.event_data import EventData


class MessageStep(EventData, frozen=True, kw_only=True):
    """A message has reached a step."""

    kind: ClassVar[str] = "message"
    message: str
    state: str
    at: int = 0
    prompt_id: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET


class ReplyChanged(EventData, frozen=True, kw_only=True):
    """The reply of a message that was `replied` is another one, or there is none: by Claude's transcript it is in this state
    now, which is `submitted` when Claude goes on."""

    kind: ClassVar[str] = "reply_changed"
    message: str
    state: str
    prompt_id: str | UnsetType = UNSET


class Seen(EventData, frozen=True, kw_only=True):
    """A person has seen what was said up to a time."""

    kind: ClassVar[str] = "seen"
    until: int
    by: str


class MessageEdited(EventData, frozen=True, kw_only=True):
    """A waiting message was given another text."""

    kind: ClassVar[str] = "edited"
    message: str
    by: str


class QueueMoved(EventData, frozen=True, kw_only=True):
    """A waiting message was moved."""

    kind: ClassVar[str] = "queue"
    message: str
    position: int


class PromptTaken(EventData, frozen=True, kw_only=True):
    """Claude took a prompt."""

    kind: ClassVar[str] = "prompt"
    prompt_id: str | None
    message: str | None


class Text(EventData, frozen=True, kw_only=True):
    """A piece of text as it is displayed, in Claude's own numbers."""

    kind: ClassVar[str] = "text"
    delta: Any = None
    index: Any = None
    final: Any = None
    message_id: Any = None
    prompt_id: str | None = None
    message: str | None = None


class ToolUse(EventData, frozen=True, kw_only=True):
    """A tool call, within bounds; where something was cut, `truncated`, and anything may be missing."""

    kind: ClassVar[str] = "tool"
    prompt_id: Any = UNSET
    message: Any = UNSET
    phase: Any = UNSET
    tool: Any = UNSET
    tool_use_id: Any = UNSET
    result: Any = UNSET
    duration_ms: Any = UNSET
    error: Any = UNSET
    input: Any = UNSET
    truncated: bool | UnsetType = UNSET


class ConversationChanged(EventData, frozen=True, kw_only=True):
    """The conversation id changed."""

    kind: ClassVar[str] = "conversation"
    from_: str | None = field(name="from")
    to: str | None


class ConversationShared(EventData, frozen=True, kw_only=True):
    """Another `claude` has the conversation open, too."""

    kind: ClassVar[str] = "conversation_shared"
    conversation: str | None
    pid: int | UnsetType = UNSET
