"""What the CLI has decided by itself, since nobody answered in time, as its transcript and its hooks tell it.

2.1.330 denies a removal that could take far more than was meant after two minutes, in the modes `auto` and `bypassPermissions`;
and lets a question go unanswered where `askUserQuestionTimeout` is set. What must not regress: neither is told as a person's
decision.
"""

from __future__ import annotations

from typing import Any

_DENIED = "Permission for this command was denied by a built-in Claude Code safety check"
_AWAY = "afkTimeoutMs"


def denied(result: dict[str, Any]) -> bool:
    """Whether a tool's result in the transcript is that the CLI has denied it itself."""
    return bool(result.get("is_error")) and _text(result.get("content")).lstrip().startswith(_DENIED)


def let_go(payload: dict[str, Any]) -> bool:
    """Whether a tool event tells of a question that nobody has answered."""
    given = payload.get("tool_input")
    return isinstance(given, dict) and bool(given.get(_AWAY))


def _text(content: object) -> str:
    if isinstance(content, list):
        return next((str(part.get("text", "")) for part in content if isinstance(part, dict)), "")
    return content if isinstance(content, str) else ""
