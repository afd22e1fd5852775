"""The operations by which a session goes to another node, and what they keep out meanwhile.

What must not regress: of a session that is being moved only what looks is answered here, and of one that has moved only itself
and its export; everything else is told where it is. An operation that is new is kept out, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.bus import move_requests
from shared.bus.messages import Request
from shared.bus.operations import OPERATIONS
from supervisor.bus.operations.table import Row
from supervisor.moving.arrivals import Arrivals
from supervisor.moving.departures import Departures
from supervisor.pool.pool import Pool
from supervisor.session import move

_STEPS = frozenset({"session.leave", "session.stay", "session.bundle", "session.import", "session.decline", "session.release",
                    "session.arrive"})  # fmt: skip
_ITSELF = frozenset({"session.get", "export", "events.since", "events.page", "search", "usage"})
"""What is answered of a session that has moved: that it was here, and what was said until then."""


class MoveOps:
    """The handlers. `node` says what this one is called."""

    def __init__(self, pool: Pool, node: Callable[[], str]) -> None:
        self._pool = pool
        self._departures, self._arrivals = Departures(pool, node), Arrivals(pool)

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("session.leave", move_requests.LeaveFor, self._leave),
            ("session.stay", move_requests.StayHere, self._stay),
            ("session.bundle", move_requests.PackBundle, self._bundle),
            ("session.import", move_requests.TakeBundle, self._import),
            ("session.decline", move_requests.DeclineBundle, self._decline),
            ("session.release", move_requests.ReleaseSession, self._release),
            ("session.arrive", move_requests.ArriveHere, self._arrive),
        ]

    def refuse(self, op: str, arguments: Any) -> None:
        """Raise what `move.refuse` does when this is asked of a session that is not to be touched here, or not here yet."""
        session, message = getattr(arguments, "session_id", None), getattr(arguments, "message_id", None)
        if op in _STEPS - {"session.leave"} or op == "audit.refused" or (session is None and message is None):
            return
        store = self._pool.store
        if message is not None:
            known = store.message(message)
            session = known.session_id if known is not None else session
        record = store.session(session) if session else None
        if record is None and session:
            self._arrivals.refuse(session)
        if record is None or op in _STEPS or not move.leaves(record):
            return
        looks = OPERATIONS[op].effect == "looks" and op != "draft.set" if op in OPERATIONS else False
        if not looks:
            move.refuse(record)
        elif op not in _ITSELF:
            move.refuse_moved(record)

    async def _leave(self, arguments: move_requests.LeaveFor, request: Request) -> Any:
        return await self._departures.leave(arguments, request.actor)

    async def _stay(self, arguments: move_requests.StayHere, request: Request) -> Any:
        return self._departures.stay(arguments, request.actor)

    async def _bundle(self, arguments: move_requests.PackBundle, _: Request) -> Any:
        return await self._departures.pack(arguments)

    async def _release(self, arguments: move_requests.ReleaseSession, request: Request) -> Any:
        return await self._departures.release(arguments, request.actor)

    async def _import(self, arguments: move_requests.TakeBundle, _: Request) -> Any:
        return await self._arrivals.take(arguments)

    async def _decline(self, arguments: move_requests.DeclineBundle, _: Request) -> Any:
        self._arrivals.decline(arguments)
        return {}

    async def _arrive(self, arguments: move_requests.ArriveHere, request: Request) -> Any:
        return await self._arrivals.arrive(arguments, request.actor)
