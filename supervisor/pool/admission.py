"""Who gets the next place among the live sessions, and who has to make room for it.

At most `sessions.max_concurrent` processes, within `limits.memory_total_gb`, started a few at a time so that a restart is no
stampede. The least recently used idle session sleeps to make room; when none is idle, those that have been up longest do
between two of their turns. What must not regress: a start that waits is never overtaken for ever, and the limits hold.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.bus import trouble_events
from shared.errors import Busy, Conflict
from supervisor.pool import resources
from supervisor.pool.managed_session import ManagedSession
from supervisor.session.services import Services
from supervisor.session.session import Session
from supervisor.state.states import State

STARTS_AT_ONCE = 2
RETRY_AFTER_SECONDS = 10
CPU_PATIENCE_SECONDS = 5.0
"""How long an overloaded machine holds a start back; then it goes ahead, since waiting has an end."""

CPU_LOOK_SECONDS = 0.5
STARTUP_SECONDS = 10.0
"""How long a start that does not get to its prompt keeps the next ones waiting."""

TURN_SECONDS = 10.0
"""How long a process may stay at least before a session that waits for room makes it go between two of its turns."""

YIELD_SECONDS = 10.0
"""How long it then lets those that wait go first, at most."""

WAIT_AFTER_SECONDS = 1.0
"""How soon a queue whose session finds no room asks again; it counts as waiting for `WAITING_SECONDS` after it asked, in
which a busy machine may hold its start back."""

WAITING_SECONDS = WAIT_AFTER_SECONDS + CPU_PATIENCE_SECONDS + 2.0
FRESH_BYTES = 150 * 1024 * 1024
"""What a start is expected to need (measured: 135-150 MB that it does not share)."""


class Admission:
    """The slots of one pool. `managed_sessions` is the pool's own, which grows and shrinks; `closed`: no more starts."""

    def __init__(self, services: Services, managed_sessions: Mapping[str, ManagedSession]) -> None:
        self.services = services
        self.store = services.store
        self.closed = False
        self.cpu_percent = 0.0
        self._managed_sessions = managed_sessions
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self._reserved: set[str] = set()
        self._waiters: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    def refuse_when_draining(self) -> None:
        """Raise Busy while nothing is to begin here."""
        if self.services.config().sessions.draining:
            raise Busy(
                "This node is being drained: it starts nothing. `pilotlight drain --off` ends that.",
                code="draining",
                data={"retryAfter": WAIT_AFTER_SECONDS},
            )

    def check(self) -> None:
        """Raise Busy when a new session could not be started now."""
        total = self.services.config().limits.memory_total_gb * 1024**3
        taken = [h.session for h in self._managed_sessions.values() if self._has_slot(h.session)]
        if taken and self.memory + FRESH_BYTES > total and self.sleepiest() is None:
            raise self._no_memory(RETRY_AFTER_SECONDS)
        limit = self.services.config().sessions.max_concurrent
        if len(taken) >= limit and self.sleepiest() is None:
            raise Busy(
                f"All {limit} places are taken by sessions that are busy. Wait, end one, or raise "
                "sessions.max_concurrent.",
                code="too_many_sessions",
                data={"retryAfter": RETRY_AFTER_SECONDS},
            )

    @asynccontextmanager
    async def admit(self, session: Session) -> AsyncIterator[None]:
        """Wait for this session's turn to start and a place for it, which is kept while the start lasts. Raise Busy when
        every place is taken by work."""
        if self.closed:
            raise Busy("pilotlight is shutting down.", code="shutting_down", data={"retryAfter": RETRY_AFTER_SECONDS})
        self.refuse_when_draining()
        asked = time.monotonic()
        await self._starting.acquire()
        try:
            await self._make_room(session, asked)
            self._waiters.pop(session.id, None)
            self.forget_asking("room_needed")  # who still waits asks again
            self._reserved.add(session.id)
            managed = self._managed_sessions.get(session.id)
            if managed is not None:
                managed.up_since, managed.hibernate_reason = time.monotonic(), None
                managed.counted = self._expected(session)
            yield
        finally:
            self._reserved.discard(session.id)
            if session.state is State.STARTING:
                task = asyncio.create_task(self._release_when_up(session))
                self._background.add(task)
                task.add_done_callback(self._background.discard)
            else:
                self._starting.release()

    async def _release_when_up(self, session: Session) -> None:
        """The next start may begin once this one has got to its prompt, or to a dialog, or has failed."""
        try:
            await session.changed.wait_for(lambda: session.state is not State.STARTING, STARTUP_SECONDS)
        finally:
            self._starting.release()

    async def _make_room(self, session: Session, asked: float) -> None:
        await self._await_resources(session, asked)
        limit = self.services.config().sessions.max_concurrent
        while len(self._others(session)) >= limit:
            if self.sleepiest(session) is None:
                self.ask_to_hibernate("room_needed", session)
                raise Busy(
                    f"All {limit} places are taken by sessions that are busy.",
                    code="too_many_sessions",
                    data={"retryAfter": WAIT_AFTER_SECONDS},
                )
            if not await self.put_to_sleep("room_needed", session):
                await asyncio.sleep(0.05)

    def _others(self, session: Session) -> list[Session]:
        """Who has a place, apart from this one."""
        sessions = (managed.session for managed in self._managed_sessions.values())
        return [other for other in sessions if self._has_slot(other) and other is not session]

    def _has_slot(self, session: Session) -> bool:
        return session.live or session.id in self._reserved

    def sleepiest(self, but: Session | None = None) -> Session | None:
        """The least recently used session that may be put to sleep."""
        candidates = []
        for managed in self._managed_sessions.values():
            if managed.session is not but and managed.may_hibernate():
                candidates.append(managed.session)
        return max(candidates, key=lambda session: session.idle_age(), default=None)

    async def put_to_sleep(self, cause: str, but: Session | None = None) -> bool:
        """The session that is needed least; False when none could."""
        sleepiest = self.sleepiest(but)
        if sleepiest is None:
            return False
        try:
            await self._managed_sessions[sleepiest.id].lifecycle.hibernate(cause)
        except Conflict:
            return False
        return True

    def ask_to_hibernate(self, cause: str, but: Session | None = None, enough: int = 1) -> None:
        """Nobody is idle: have those that have been up longest sleep between two turns, until `enough` bytes are promised.
        Their queues go on when they are woken in turn."""
        now = time.monotonic()
        if but is not None:
            self._waiters[but.id] = now
        for managed in sorted(self._managed_sessions.values(), key=lambda h: h.up_since):
            if enough <= 0:
                return
            session = managed.session
            if not session.live or session is but:
                continue
            if managed.hibernate_reason is None and now - managed.up_since >= TURN_SECONDS:
                managed.hibernate_reason = cause
            enough -= managed.counted if managed.hibernate_reason is not None else 0

    async def let_others_go_first(self, session: Session) -> None:
        """Wait until nobody else waits for the room that this session has given up, but not for long."""
        end = time.monotonic() + YIELD_SECONDS
        while (now := time.monotonic()) < end:
            self._waiters = {name: at for name, at in self._waiters.items() if now - at < WAITING_SECONDS}
            if not set(self._waiters) - {session.id}:
                return
            await asyncio.sleep(0.1)

    def forget_asking(self, cause: str) -> None:
        """There is room again."""
        for managed in self._managed_sessions.values():
            if managed.hibernate_reason == cause:
                managed.hibernate_reason = None

    @property
    def memory(self) -> int:
        """Bytes of all process trees."""
        return sum(h.counted for h in self._managed_sessions.values() if self._has_slot(h.session))

    def _expected(self, session: Session) -> int:
        """Bytes that its process will count for: as many as its last one did, unless that was too many."""
        limit = int(self.services.config().limits.memory_per_session_mb * 1024**2)
        return max(FRESH_BYTES, min(limit, session.memory_bytes or 0))

    async def _await_resources(self, session: Session, asked: float) -> None:
        """Hold a start back while the machine is overloaded, at most `CPU_PATIENCE_SECONDS` from when it was asked for;
        refuse it while memory is short and nothing can sleep."""
        total = self.services.config().limits.memory_total_gb * 1024**3
        needed = self._expected(session)
        while self.memory + needed > total and await self.put_to_sleep("memory_total", session):
            pass
        if self.memory + needed > total and self._others(session):
            self.ask_to_hibernate("memory_total", session)
            raise self._no_memory(WAIT_AFTER_SECONDS)
        end = asked + CPU_PATIENCE_SECONDS
        meter = None
        while self.cpu_percent > (limit := self.services.config().limits.cpu_percent) and time.monotonic() < end:
            if meter is None:
                self.store.append(trouble_events.StartDelayed(cpu_percent=self.cpu_percent, limit=limit), session.id)
                meter = resources.CpuMeter()
            await asyncio.sleep(CPU_LOOK_SECONDS)
            self.cpu_percent = meter.percent()

    def _no_memory(self, after: float) -> Busy:
        limit = self.services.config().limits.memory_total_gb
        return Busy(
            f"The sessions use all of limits.memory_total_gb ({limit:g} GB) and none is idle. "
            "Wait, end one, or raise the limit.",
            code="memory_exhausted",
            data={"retryAfter": after},
        )

    def close(self) -> None:
        """Let go of the starts that are waited for."""
        for task in self._background:
            task.cancel()
