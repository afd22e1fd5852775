"""What is to be sent, kept until it was: one queue a recipient, each with a sender of its own, over the table `outbox`.

A note is in the table before anything is sent and leaves it when its fate is known, so a supervisor that dies between the two
sends it again, under the same key: at least once into the channel, once to the person. What must not regress: one recipient that
hangs keeps no other waiting; a queue is bounded, and what is pushed out of it is told as failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from shared.errors import StorageFailed
from supervisor.notifications.channels.contract import (
    Note,
    Outcome,
    Refused,
    Retry,
    bounded,
)
from supervisor.store.store import Store, now_ms

FIRST_RETRY_SECONDS = 5.0
STORAGE_SECONDS = 1.0
MAX_ROWS = 200


@dataclass
class Row:
    """One note that waits. `due` in milliseconds."""

    note: Note
    attempts: int = 0
    due: int = 0
    flying: bool = False


@dataclass
class Queue:
    """One recipient's, by tag: a newer note takes the place of an older one."""

    rows: dict[str, Row] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    sender: asyncio.Task[None] | None = None


Send = Callable[[str, Note], Awaitable[Outcome]]
"""Hands one note to one recipient, by its id."""

Concluded = Callable[[str, Note, Outcome, int], None]
"""Told of every attempt, with its number, within the transaction that forgets the note when it is over."""


class Outbox:
    """All queues. `run` has to go on for anything to be sent."""

    def __init__(self, store: Store, send: Send, concluded: Concluded, clock: Callable[[], int] = now_ms) -> None:
        self._store, self._send, self._concluded, self._clock = store, send, concluded, clock
        self._queues: dict[str, Queue] = {}
        self._started = False

    def load(self) -> None:
        """Take in what an earlier supervisor has not sent."""
        self._queues = {name: queue for name, queue in self._queues.items() if queue.sender is not None}
        for queue in self._queues.values():
            queue.rows = {tag: row for tag, row in queue.rows.items() if row.flying}
        for recipient, tag, body in self._store.notifications.outbox():
            rows = self._queue(recipient).rows
            if tag not in rows:
                rows[tag] = Row(msgspec.json.decode(body, type=Note))

    def put(self, recipient: str, note: Note) -> list[Note]:
        """Have this sent (within a transaction). The notes that will never be, because of it."""
        queue = self._queue(recipient)
        lost: list[Note] = []
        before = queue.rows.get(note.tag)
        if before is not None and not before.flying:
            if before.note.key != note.key:
                lost.append(before.note)
            if note.withdrawn and before.attempts == 0:  # nobody was told: there is nothing to withdraw
                self._forget(recipient, note.tag)
                return lost
        elif before is None and len(queue.rows) >= MAX_ROWS:
            oldest = next((tag for tag, row in queue.rows.items() if not row.flying), None)
            if oldest is not None:
                lost.append(queue.rows[oldest].note)
                self._forget(recipient, oldest)
        self._store.notifications.put(recipient, note.tag, msgspec.json.encode(note))
        queue.rows.pop(note.tag, None)
        queue.rows[note.tag] = Row(note, due=self._clock())
        self.start(recipient)
        return lost

    def waiting(self, recipient: str) -> int:
        """How many notes wait for this recipient."""
        return len(self._queue(recipient).rows) if recipient in self._queues else 0

    def drop(self, recipient: str) -> None:
        """The recipient is gone, and its rows with it."""
        queue = self._queues.pop(recipient, None)
        if queue is not None and queue.sender is not None and queue.sender is not asyncio.current_task():
            queue.sender.cancel()

    async def run(self) -> None:
        """Send until cancelled."""
        self._started = True
        for recipient in list(self._queues):
            self.start(recipient)
        try:
            await asyncio.Event().wait()
        finally:
            self._started = False
            senders = [queue.sender for queue in self._queues.values() if queue.sender is not None]
            for sender in senders:
                sender.cancel()
            if senders:
                await asyncio.wait(senders)

    def start(self, recipient: str) -> None:
        """Make sure that somebody sends to this recipient."""
        queue = self._queue(recipient)
        queue.changed.set()
        if self._started and queue.rows and (queue.sender is None or queue.sender.done()):
            queue.sender = asyncio.create_task(self._serve(recipient, queue), name=f"notify-{recipient}")

    async def _serve(self, recipient: str, queue: Queue) -> None:
        while queue.rows:
            tag, row = min(queue.rows.items(), key=lambda item: item[1].due)
            queue.changed.clear()
            pause = (row.due - self._clock()) / 1000
            if pause > 0:
                try:
                    async with asyncio.timeout(pause):
                        await queue.changed.wait()
                except TimeoutError:
                    pass
                continue
            await self._attempt(recipient, queue, tag, row)

    async def _attempt(self, recipient: str, queue: Queue, tag: str, row: Row) -> None:
        row.flying = True
        late = self._clock() - row.note.at > row.note.ttl * 1000
        outcome: Outcome = Refused("It was no news any more.") if late else await self._send(recipient, row.note)
        row.flying = False
        row.attempts += 1
        if isinstance(outcome, Retry):
            row.due = self._clock() + round(1000 * _pause(row.attempts, outcome))
        while True:
            try:
                with self._store.transaction():
                    if not isinstance(outcome, Retry) and queue.rows.get(tag) is row:
                        self._store.notifications.take(recipient, tag)
                    self._concluded(recipient, row.note, outcome, row.attempts)
                break
            except StorageFailed:  # it is not sent again for that: whoever was told was told
                await asyncio.sleep(STORAGE_SECONDS)
        if not isinstance(outcome, Retry) and queue.rows.get(tag) is row:
            del queue.rows[tag]

    def _forget(self, recipient: str, tag: str) -> None:
        self._store.notifications.take(recipient, tag)
        self._queue(recipient).rows.pop(tag, None)

    def _queue(self, recipient: str) -> Queue:
        return self._queues.setdefault(recipient, Queue())


def _pause(attempts: int, outcome: Retry) -> float:
    """As long as the other side says, and longer each time that it says nothing."""
    grown = FIRST_RETRY_SECONDS * 3.0 ** min(attempts - 1, 10)
    return bounded(grown if outcome.after is None else outcome.after)
