"""The states of a session as data: which event leads from which state to which, and what the evidence says now.

`TABLE` is total: every state and event has an entry, and an event that means nothing in a state leads back to it. The
supervisor never assigns a state; it derives the event that its evidence calls for with `judge` and looks the next state
up. What cannot be told is `unknown`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.bus.messages import Waiting


class State(StrEnum):
    """Exactly one at any time."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    WAITING = "waiting"
    HIBERNATED = "hibernated"
    STOPPING = "stopping"
    UNKNOWN = "unknown"
    ENDED = "ended"


class StateEvent(StrEnum):
    """What can happen to a session."""

    SPAWN = "spawn"
    READY = "ready"
    WORKING = "working"
    ASKING = "asking"
    LOST_SIGHT = "lost_sight"
    STOP = "stop"
    SLEPT = "slept"
    ENDED = "ended"


LIVE = frozenset({State.STARTING, State.IDLE, State.BUSY, State.WAITING, State.STOPPING, State.UNKNOWN})
"""States in which a process exists, or is being made or ended."""

_SEEN = {
    StateEvent.READY: State.IDLE,
    StateEvent.WORKING: State.BUSY,
    StateEvent.ASKING: State.WAITING,
    StateEvent.LOST_SIGHT: State.UNKNOWN,
    StateEvent.STOP: State.STOPPING,
    StateEvent.SLEPT: State.HIBERNATED,
    StateEvent.ENDED: State.ENDED,
}


def _row(state: State, **exceptions: State) -> dict[StateEvent, State]:
    row = {event: _SEEN.get(event, State.STARTING) for event in StateEvent}
    row.update({StateEvent(name.lower()): target for name, target in exceptions.items()})
    assert set(row) == set(StateEvent), state
    return row


TABLE: dict[State, dict[StateEvent, State]] = {
    State.STARTING: _row(State.STARTING, LOST_SIGHT=State.STARTING),
    State.IDLE: _row(State.IDLE),
    State.BUSY: _row(State.BUSY),
    State.WAITING: _row(State.WAITING),
    State.UNKNOWN: _row(State.UNKNOWN),
    State.HIBERNATED: _row(
        State.HIBERNATED,
        READY=State.HIBERNATED,
        WORKING=State.HIBERNATED,
        ASKING=State.HIBERNATED,
        LOST_SIGHT=State.HIBERNATED,
        STOP=State.HIBERNATED,
    ),
    State.STOPPING: _row(
        State.STOPPING,
        READY=State.STOPPING,
        WORKING=State.STOPPING,
        ASKING=State.STOPPING,
        LOST_SIGHT=State.STOPPING,
    ),
    State.ENDED: _row(
        State.ENDED,
        READY=State.ENDED,
        WORKING=State.ENDED,
        ASKING=State.ENDED,
        LOST_SIGHT=State.ENDED,
        STOP=State.ENDED,
        SLEPT=State.ENDED,
    ),
}
"""A spawn leads anywhere to `starting`: waking, reopening and recycling are starts."""


def after(state: State, event: StateEvent) -> State:
    """The state that `event` leads to."""
    return TABLE[state][event]


@dataclass(frozen=True)
class Evidence:
    """What is known about a live session now. Times are seconds on the supervisor's monotonic clock.

    `turn_open`: hooks or transcript showed a prompt whose end they have not shown. `status` and `status_for` come from
    Claude's own status file. `sight` is what the screen shows: `prompt`, `draft`, `editor`, `menu`, `notice`, `other` or `blank`.
    `puzzled_since` is when screen and status file stopped making sense together (None: they do).
    """

    ready_once: bool = False
    turn_open: bool = False
    status: str | None = None
    screen_reading: str = "blank"
    asks: Waiting | None = None
    held: Waiting | None = None
    puzzled_for: float = 0.0
    responsive: bool = True


@dataclass(frozen=True)
class Verdict:
    """The event the evidence calls for, and what is waited for, if anything."""

    event: StateEvent
    waiting: Waiting | None = None
    certain: bool = field(default=True)


PATIENCE_SECONDS = 2.0
"""How long evidence may contradict itself (a redraw, a hook under way) before the state is `unknown`."""


def judge(evidence: Evidence) -> Verdict | None:
    """What a live session is doing; None while contradictions are younger than `PATIENCE_SECONDS`."""
    if not evidence.responsive:
        return Verdict(StateEvent.LOST_SIGHT)
    if evidence.asks is not None:
        return Verdict(StateEvent.ASKING, evidence.asks)
    if evidence.turn_open:
        return Verdict(StateEvent.WORKING)
    if evidence.screen_reading in ("prompt", "draft", "editor"):
        if evidence.status == "busy":
            return Verdict(StateEvent.WORKING)
        if not evidence.ready_once:
            return None
        if evidence.held is not None:
            return Verdict(StateEvent.ASKING, evidence.held)
        return Verdict(StateEvent.READY)
    if evidence.status == "busy":
        return Verdict(StateEvent.WORKING)
    if evidence.puzzled_for < PATIENCE_SECONDS:
        return None
    return Verdict(StateEvent.LOST_SIGHT)
