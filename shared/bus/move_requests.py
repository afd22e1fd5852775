"""The arguments of the steps by which a session goes from one node to another; `supervisor/moving` says what each does.

What must not regress: each step names its move, so that a step of another move does nothing; an unknown field is refused.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.bus.messages import Wire

NodeName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
MoveId = Annotated[str, Meta(pattern=r"^mv_[0-9a-f]{32}$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class LeaveFor(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.leave` -> MoveStep: it sleeps, and accepts nothing until it has moved to `node` or stays."""

    session_id: str
    node: NodeName
    key: str | None = None


class StayHere(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.stay` -> {session, move}: it does not move after all."""

    session_id: str
    key: str | None = None


class PackBundle(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.bundle` -> {file, bytes, digest}: all of a session that leaves, as a file below the home's `moves`."""

    session_id: str
    move: MoveId


class TakeBundle(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.import` -> {digest, arrived}: keep a bundle that lies in `moves` as `upload`. There is no session of it yet."""

    session_id: str
    move: MoveId
    upload: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\.part$")]
    project_path: str | None = None


class DeclineBundle(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.decline` -> {}: throw away a bundle of which no session was made."""

    session_id: str
    move: MoveId
    key: str | None = None


class ReleaseSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.release` -> MoveStep with `word`: `digest` shows that the bundle has come, and the session has ended here
    for good."""

    session_id: str
    move: MoveId
    digest: Digest
    key: str | None = None


class ArriveHere(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.arrive` -> SessionView: with the `word` of the release, the bundle becomes a session."""

    session_id: str
    move: MoveId
    word: Annotated[str, Meta(max_length=100)]
    key: str | None = None


class MoveStep(Wire, frozen=True):
    """How far a move is, where it began. `word`: what makes a session of the bundle, once this node has let go of it."""

    id: str
    to: str
    moved: bool
    word: str | None = None
