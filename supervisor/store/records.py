"""One session and one message as they are stored; the columns and the JSON behind them are the store's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.bus.messages import ErrorBody, MessageView
from supervisor.store.options import Intent, LaunchOptions, ProcessFacts, Remembered

ASLEEP = "hibernated"
"""The state of a session that has no process and is not ended."""


@dataclass
class SessionRecord:
    """One session as it is stored. Times are milliseconds since the epoch; the fields behind `body` travel as JSON."""

    id: str
    project_path: str
    created_at: int
    last_activity: int
    state: str
    conversation_id: str
    generation: int = 0
    message_count: int = 0
    ended_at: int | None = None
    title: str | None = None
    launch: LaunchOptions = field(default_factory=LaunchOptions)
    process: ProcessFacts = field(default_factory=ProcessFacts)
    intent: Intent = field(default_factory=Intent)
    remembered: Remembered = field(default_factory=Remembered)
    trust: bool = False
    resume: bool = False
    fork_from: str | None = None
    conversations: list[dict[str, str]] = field(default_factory=list)
    transcript: str | None = None
    child: list[int] | None = None
    holder: list[int] | None = None
    socket: str | None = None
    ready_once: bool = False
    turn_prompt: str | None = None
    background: list[dict[str, Any]] = field(default_factory=list)
    scheduled: list[dict[str, Any]] = field(default_factory=list)
    """What Claude has planned to do by itself (session.scheduled); some of it outlives its process."""

    end_reason: str | None = None
    end_detail: str | None = None
    warned: bool = False
    auto_keep_alive: bool | None = None
    delivery: str | None = None
    """`interactive` or `per_message`; None: as the configuration says."""

    failures: int = 0
    held_until: int | None = None
    held_reason: str | None = None
    held_clock: float = 0.0
    held_boot: str = ""
    held_for: str | None = None
    refusals: int = 0
    activity_clock: float = 0.0
    activity_boot: str = ""
    asked: str | None = None
    heard: list[str] = field(default_factory=list)
    """The ids of the last prompts that Claude has told anything of, in the order in which they were first heard of."""

    last_words: dict[str, Any] | None = None
    """What was said last: `role`, `text` (its beginning) and `at`."""

    seen_at: int = 0
    """Up to when (milliseconds) a person has seen what was said."""

    move: dict[str, Any] | None = None
    """Its move to another node, while it lasts and when it is done (session.move)."""

    arrived_by: str | None = None
    """The move by which it has come here."""

    unknown: dict[str, Any] = field(default_factory=dict)
    unknown_options: dict[str, Any] = field(default_factory=dict)
    """Members that a later version has written: kept."""


@dataclass
class MessageRecord:
    """One message as it is stored; `steps` holds the time of each step, in milliseconds since the epoch."""

    id: str
    session_id: str
    state: str
    rank: float
    text: str
    created_at: int
    request_key: str | None = None
    ord: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    prompt: str = ""
    typed: str | None = None
    """What stands in the box of `text`, where the two differ; `normalized` says in what (claude.normalization)."""

    normalized: list[str] = field(default_factory=list)
    prompt_id: str | None = None
    generation: int = 0
    reply: str | None = None
    error: dict[str, Any] | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] | None = None
    source: str = "api"
    stop: dict[str, Any] | None = None
    kind: str = "prompt"
    mode: str | None = None
    attachments: list[dict[str, Any]] = field(default_factory=list)
    key: str | None = None
    """The client's own word for it; `request_key` says also what it is the key of (request_keys)."""

    body: str = ""
    earlier: list[str] = field(default_factory=list)
    """The prompts that were heard of before its text was laid out for the editor: none of them is this message."""

    confined: bool = False
    """Whether what it mentions has to lie in the project: whoever sent it may not answer for Claude."""

    opened_in: str | None = None
    """The project that was asked for, as it was written, when this message opened its session."""

    unknown: dict[str, Any] = field(default_factory=dict)
    """Members that a later version has written: kept."""

    def view(self, position: int | None = None) -> MessageView:
        """As clients see it."""
        return MessageView(
            id=self.id,
            session_id=self.session_id,
            state=self.state,  # type: ignore[arg-type]
            text=self.text,
            created_at=self.created_at,
            steps=dict(self.steps),
            request_id=self.key or self.request_key,
            reply=self.reply,
            error=ErrorBody(**self.error) if self.error else None,
            queue_position=position,
            tool_calls=self.tool_calls,
            usage=self.usage,
            source=self.source,
            kind=self.kind,  # type: ignore[arg-type]
            attachments=self.attachments,
            typed_text=self.typed,
            normalized=self.normalized,
        )
