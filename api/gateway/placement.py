"""Where a new session goes: the node that is named, else one that has the project, else the most free; and why.

A pure decision. What must not regress: a node that is full or being drained is never chosen, and what cannot be placed is refused
with what each node said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Busy


@dataclass(frozen=True)
class Room:
    """What a node can take: places that are free (none while it is full or drained), and whether it has the project."""

    node: str
    free: int
    of: int
    has_project: bool = False


@dataclass(frozen=True)
class Choice:
    """The node, and the reason in words."""

    node: str
    reason: str


def choose(rooms: Sequence[Room]) -> Choice:
    """The node for a session that nobody has said a node for. Raise Busy when none can take it."""
    open_ = [room for room in rooms if room.free > 0]
    if not open_:
        told = ", ".join(f"{room.node} is full or drained" for room in rooms)
        raise Busy(
            f"No node can take a new session now: {told or 'none answers'}.", code="no_room", data={"retryAfter": 5}
        )
    near = [room for room in open_ if room.has_project]
    best = max(near or open_, key=lambda room: (room.free / max(room.of, 1), room.free))
    why = "it has the project" if near else "no node has the project"
    most = "most room" if len(near or open_) > 1 else "room"
    return Choice(best.node, f"{why}, and {most} ({best.free} of {best.of} places are free)")
