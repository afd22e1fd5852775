"""What the demo model will do about one request: an ordered list of steps.

The script decides (`script.reply` returns a `Plan`), the wire encodes, the handler waits. Keeping the
decision as plain data is what lets the script be tested without a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Assistant text, at once or spread evenly over `over` seconds."""

    text: str
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class Think:
    """A thinking block."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One tool_use block."""

    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Gate:
    """Send nothing until the gate of this name is released."""

    name: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection here."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error instead of a message. Only valid before any content."""

    status: int
    error_type: str | None = None
    message: str | None = None
    retry_after: float | None = None


Step: TypeAlias = Text | Think | ToolUse | Wait | Gate | Drop | Fail
Pause: TypeAlias = Wait | Gate | Drop


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order; an empty plan is a message without content."""

    steps: tuple[Step, ...] = ()

    @property
    def stop_reason(self) -> str:
        return "tool_use" if any(isinstance(step, ToolUse) for step in self.steps) else "end_turn"
