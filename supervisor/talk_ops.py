"""The operations of talking beyond sending: the queue's order; registered with `Ops.add`, so that `ops` stays one table."""

from __future__ import annotations

import asyncio
from typing import Any

from shared import messages
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.messages import Request
from supervisor import attachments
from supervisor.ops import Ops
from supervisor.pool import Household, Pool
from supervisor.session import Session
from supervisor.store import MessageRecord


class TalkOps:
    """The handlers, and what they need done beside them."""

    def __init__(self, pool: Pool, ops: Ops) -> None:
        self._pool = pool
        self._store = pool.store
        m = messages
        for name, kind, handler in (("message.move", m.MoveMessage, self._move),):
            ops.add(name, kind, handler)

    async def prepare(self) -> None:
        """At the start, before anything is sent: remove files that no message owns."""
        paths = self._pool.house.paths
        attachments.sweep(paths.home, paths.sessions_dir, lambda message: self._store.message(message) is not None)

    async def run(self) -> None:
        """What is done now and then, until cancelled."""
        await asyncio.Event().wait()

    def _find(self, session_id: str) -> Household:
        return self._pool.household(session_id)

    # -- the queue -------------------------------------------------------------------------------------------------

    async def _move(self, arguments: messages.MoveMessage, _: Request) -> Any:
        if arguments.position < 0:
            raise InvalidRequest("`position` counts from 0, the next to be sent.", code="invalid_position")
        record = self._store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._find(record.session_id).session
        queue = self._queue(session)
        if record.id not in [message.id for message in queue]:
            raise Conflict(
                f"The message is {record.state}{' and under way' if record.state == 'queued' else ''}: only one that "
                "waits in the queue can be moved.",
                code="not_movable",
            )
        ranks = sorted(message.rank for message in queue)
        moved = next(message for message in queue if message.id == record.id)
        queue.remove(moved)
        queue.insert(min(arguments.position, len(queue)), moved)
        with self._store.transaction(durable=True):
            for message, rank in zip(queue, ranks, strict=True):
                if message.rank != rank:
                    message.rank = rank
                    self._store.save_message(message)
            self._store.append("queue", session.id, {"message": moved.id, "position": queue.index(moved)})
        return {"messages": [message.view(self._pool.queue_position(message)) for message in queue]}

    def _queue(self, session: Session) -> list[MessageRecord]:
        """Those that wait: neither typed nor being handed over."""
        current = session.current.id if session.current is not None else None
        return [m for m in self._store.open_messages(session.id) if m.state == "queued" and m.id != current]
