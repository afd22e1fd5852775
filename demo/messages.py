"""Reads what the CLI sends: which request this is, and what the person actually typed.

Measured on 2.1.197 and 2.1.330: a user message carries the prompt as its last text block, beside
`<system-reminder>` blocks, traces of local commands and interruption notes; 330 appends messages with
role `system`, sends older messages as plain strings, and wraps pasted text in
`<pasted_content id="x">…</pasted_content id="x">`. A prompt given while a tool runs arrives as a
system message (197) or beside the tool result (330). Nothing here may depend on more than one message list: the demo
model is stateless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from demo.planmode import PlanMode, observe

Message: TypeAlias = Mapping[str, Any]

_INTERRUPTED = "[Request interrupted by user"
_NOT_TYPED = (
    "<system-reminder>",
    "<local-command-",
    "<command-name>",
    "<command-message>",
    "<bash-input>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
    _INTERRUPTED,
    "[Your previous response had no visible output",
)
_PASTED = re.compile(r'(?:\n\n)?<pasted_content id="([^"]*)">\n?(.*?)\n?</pasted_content(?: id="\1")?>\n?', re.DOTALL)
_STEER = re.compile(r"The user sent a new message while you were working:\n(.*?)(?:\n\n[^\n]*)?", re.DOTALL)
_HOOKED = re.compile(r"\s*<system-reminder>\n[^\n]*\n(Stop hook feedback:\n.*?)\n</system-reminder>\s*", re.DOTALL)
"""What a Stop hook has Claude go on with: from 2.1.332 on in a reminder, before as if it was typed."""

_CONTINUED = "This session is being continued from a previous conversation"


class Kind(Enum):
    """What a request to /v1/messages is for."""

    TURN = "turn"
    TOOL_RESULT = "tool_result"
    NOTIFICATION = "notification"
    CONTINUATION = "continuation"
    SUBAGENT = "subagent"
    COMPACT = "compact"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Reading:
    """One message list, understood.

    `prompts` are the texts a person typed (as received), oldest first; `called` names the first tool of each
    assistant message with tool calls since the last of them; `results` are the texts of the tool results in the
    last user message.
    """

    prompts: tuple[str, ...]
    called: tuple[str, ...]
    results: tuple[str, ...]
    plan_mode: PlanMode
    kind: Kind

    @property
    def prompt(self) -> str:
        return self.prompts[-1] if self.prompts else ""


def blocks(message: Message) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def typed_texts(message: Message) -> list[str]:
    """The text blocks of a user message that came from a person, or from their Stop hook, as received."""
    texts = (str(block.get("text", "")) for block in blocks(message) if block.get("type") == "text")
    return [
        text for text in texts if text.strip() and (not text.lstrip().startswith(_NOT_TYPED) or _HOOKED.fullmatch(text))
    ]


def prompt_text(received: str) -> str:
    """What the person typed, without the CLI's marks around a paste or a message given mid-turn."""
    if told := _STEER.fullmatch(received) or _HOOKED.fullmatch(received):
        return told.group(1)
    return _PASTED.sub(lambda match: match.group(2), received)


def is_compact(text: str) -> bool:
    return "Your task is to create a detailed summary of" in text and "TEXT ONLY" in text


def is_continuation(text: str) -> bool:
    return text.startswith(_CONTINUED)


def result_text(block: Mapping[str, Any]) -> str:
    """The text of a tool_result block."""
    return "\n".join(str(part.get("text", "")) for part in blocks(block) if part.get("type") == "text")


def _has(message: Message, block_type: str) -> bool:
    return any(block.get("type") == block_type for block in blocks(message))


def read(messages: Sequence[Message], has_tools: bool, subagent: bool = False) -> Reading:
    """Understand one message list. `subagent`: the request carries `x-claude-code-agent-id`."""
    prompts: list[str] = []
    called: list[str] = []
    notes: list[str] = []
    last: Message = {}
    typed: list[str] = []
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            called += [str(block.get("name")) for block in blocks(message) if block.get("type") == "tool_use"][:1]
            continue
        found = _steering(message) if role == "system" else typed_texts(message)
        if role == "user":
            last, typed = message, found
        else:
            typed = typed + found
        if found:
            prompts += found
            called = []
        notes += [text for text in _texts(message) if text not in found]
    results = tuple(result_text(block) for block in blocks(last) if block.get("type") == "tool_result")
    kind = _kind(last, typed, has_tools, subagent)
    return Reading(tuple(prompts), tuple(called), results, observe(notes), kind)


def _texts(message: Message) -> list[str]:
    found = (result_text(b) if b.get("type") == "tool_result" else str(b.get("text", "")) for b in blocks(message))
    return [text for text in found if text]


def _steering(message: Message) -> list[str]:
    return [text for text in _texts(message) if _STEER.match(text)]


def _kind(last: Message, typed: Sequence[str], has_tools: bool, subagent: bool) -> Kind:
    if typed and is_compact(typed[-1]):
        return Kind.COMPACT
    if not has_tools:
        return Kind.SIDE
    if not typed and _notifies(last):
        return Kind.NOTIFICATION
    if subagent:
        return Kind.SUBAGENT
    if not typed:
        return Kind.TOOL_RESULT
    return Kind.CONTINUATION if is_continuation(typed[-1]) else Kind.TURN


def _notifies(last: Message) -> bool:
    """Whether the end of background work begins a turn: a prompt of its own on 197, wrapped in a system reminder on 330. Beside
    a tool result it belongs to the turn that goes on, unless that one was interrupted (measured on 330)."""
    texts = _texts(last)
    goes_on = any(block.get("type") == "tool_result" for block in blocks(last))
    interrupted = any(text.startswith(_INTERRUPTED) for text in texts)
    return (interrupted or not goes_on) and any("<task-notification>" in text for text in texts)


def conversation_id(body: Mapping[str, Any]) -> str | None:
    """The session id: `metadata.user_id` is JSON on both releases, `…_session_<id>` on older ones."""
    metadata = body.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str):
        return None
    if user_id.startswith("{"):
        try:
            session = json.loads(user_id).get("session_id")
        except ValueError:
            return None
        return session if isinstance(session, str) else None
    _, marker, session = user_id.rpartition("_session_")
    return session if marker else None
