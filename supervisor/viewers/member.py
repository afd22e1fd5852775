"""One who looks at a session, as the audience sees it, and what it is told of the session.

What must not regress: a member is asked and told only what stands here, so that a viewer's connection and the recorder are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.session.session import Session
from supervisor.state.states import State

Size = tuple[int, int]


class Member(Protocol):
    """One who looks: a viewer's connection, or the recorder."""

    count: int
    """How many people look through it."""

    writes: bool
    """Whether it came to type."""

    actor: str
    stale: bool
    """Whether it needs a snapshot before any more output."""

    curious: bool
    """Whether it has asked for a snapshot without having missed anything."""

    @property
    def size(self) -> Size:
        """Its own screen; (0, 0): any."""
        ...

    @property
    def clogged(self) -> bool:
        """Whether it has to read first what it was sent."""
        ...

    def output(self, offset: int, data: bytes, frame: bytes) -> None:
        """Output of the session, raw and as a frame."""
        ...

    def snapshot(self, head: dict[str, Any], drawing: bytes) -> None:
        """The whole screen."""
        ...

    def tell(self, message: dict[str, Any]) -> None:
        """A control message."""
        ...


@dataclass(frozen=True)
class Status:
    """What members are told about the session itself."""

    state: State
    live: bool
    generation: int
    waiting: tuple[str, str] | None
    reason: str | None

    @classmethod
    def of(cls, session: Session) -> Status:
        """As it is now."""
        waiting = session.waiting if session.state is State.WAITING else None
        return cls(
            state=session.state,
            live=session.terminal is not None,
            generation=session.record.generation,
            waiting=(waiting.kind, waiting.title) if waiting else None,
            reason=session.record.end_reason if session.state is State.ENDED else None,
        )

    def message(self) -> dict[str, Any]:
        """As the protocol says it."""
        waiting = {"for": self.waiting[0], "title": self.waiting[1]} if self.waiting else None
        return {
            "type": "state",
            "state": self.state,
            "live": self.live,
            "generation": self.generation,
            "waiting": waiting,
            "reason": self.reason,
        }
