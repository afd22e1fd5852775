"""The move of a session to another node, as its record keeps it, and what is refused because of it.

What must not regress: from the moment that a move is begun until the session stays after all, nothing is accepted, started or
changed here; one that has moved is not brought back here by anybody but a move back.
"""

from __future__ import annotations

import msgspec

from shared.errors import Conflict, Unavailable
from supervisor.store.records import SessionRecord

MOVE_RETRY_SECONDS = 2


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """One move. `word` makes a session of the bundle at the other node, and is told when this one has let go."""

    id: str
    to: str
    word: str
    since: int
    digest: str | None = None
    """Of the bundle that was made, SHA-256."""

    moved_to: str | None = None
    """Where it is, `<node>~<id>`: it is done."""


def of(record: SessionRecord) -> Move | None:
    """The move of this session, if there is one."""
    return None if record.move is None else msgspec.convert(record.move, Move)


def leaves(record: SessionRecord) -> bool:
    """Whether it is being moved, or has moved: nothing is done with it here."""
    return record.move is not None


def refuse(record: SessionRecord) -> None:
    """Raise Unavailable (`session_moving`) while it is being moved, Conflict (`session_moved`) when it has."""
    going = of(record)
    if going is None:
        return
    if going.moved_to is not None:
        refuse_moved(record)
    raise Unavailable(
        f"The session is being moved to {going.to}. Send this again with the same request id: it will be done there, or here "
        "when the move is cancelled (`pilotlight move --cancel`).",
        code="session_moving",
        data={"movingTo": going.to, "retryAfter": MOVE_RETRY_SECONDS},
    )


def refuse_moved(record: SessionRecord) -> None:
    """Raise Conflict when it has moved, with where it is."""
    going = of(record)
    if going is not None and going.moved_to is not None:
        raise gone(going.moved_to)


def gone(where: str) -> Conflict:
    """What is said of a session that goes on elsewhere."""
    return Conflict(
        f"The session has moved to {where}. Send this there, with the same request id.",
        code="session_moved",
        data={"movedTo": where, "node": where.partition("~")[0]},
    )
