"""The health pass: lifetimes, resources, stuck turns, silent holders; and what follows from them.

Decisions are pure (`lifetime`, `memory_action`, `start_overdue`); the pass only carries them out. What must not regress:
nothing is killed by a timer while it works; memory is given back by sleeping and recycling, which lose nothing; each thing
is said once and not at every pass; what fails for one session, or one task, stops no other.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from shared import process
from shared.bus import events, session_events, trouble_events
from shared.config import Config
from shared.errors import PilotlightError, StorageFailed, Unavailable
from supervisor.lifecycle import conversation_conflict, scheduled_work, session_folder
from supervisor.pool import resources
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.memory_limit import MEGABYTE, memory_action
from supervisor.pool.pool import Pool
from supervisor.session import move, scheduled
from supervisor.session.session import Session
from supervisor.state.lifetime import keeps_alive, lifetime
from supervisor.state.states import State

ROOMY = 0.95
"""Down to this part of the total memory sessions at work are asked to make room, or they would be asked all the time."""

START_FACTOR = 10.0
"""This many times the start's time-out is too long even for one that draws something all the time."""

FIRST_PASS_SECONDS = 1.0
KEEP_SECONDS = 600.0
"""How often the activity of a session that works without a word is written down."""

GIGABYTE = 1024 * MEGABYTE


def start_overdue(age: float, quiet: float, limit: float) -> bool:
    """Whether a process that has not got to its prompt at this age, nor shown anything new for `quiet` seconds, never will."""
    return quiet >= limit or age >= START_FACTOR * limit


_LIVELY = re.compile("…|\\bTip:")
_NOT_LETTERS = re.compile(r"[\W\d_]+")


def signs_of_work(rows: list[str]) -> str:
    """What of a screen only changes when something comes of the work: not the spinner, its clock and its tips."""
    return " ".join(_NOT_LETTERS.sub(" ", row).strip() for row in rows if not _LIVELY.search(row)).strip()


@dataclass
class _Watched:
    """What the passes remember of one session."""

    screen: str = ""
    screen_at: float = 0.0
    cpu: tuple[float, float] | None = None
    kept_at: float = 0.0


class Health:
    """Runs the passes. What stands in `background` is done in each of them: a name, and what to call; true: it was needed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._services = pool.services
        self._watched: dict[str, _Watched] = {}
        self._cpu = resources.CpuMeter()
        self._memory = resources.MemoryMeter()
        self._refused: tuple[float, str] | None = None
        self._short: set[str] = set()
        self.background: list[tuple[str, Callable[[], bool]]] = []
        self.changed = asyncio.Event()
        self.memory_total = 0
        self.passes = 0

    async def run(self) -> None:
        """A pass every `health.interval_seconds`, or at once when settings change, until cancelled."""
        await asyncio.sleep(FIRST_PASS_SECONDS)
        while True:
            self.changed.clear()  # what changes during the pass may have come too late for it
            try:
                await self.check()
            except Exception:  # the boundary: a failed pass must not be the last one
                self._services.log.exception("health_pass_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval()):
                    await self.changed.wait()

    def _interval(self) -> float:
        """The configured interval, or less when a lifetime ends sooner."""
        config = self._services.config()
        soonest = config.health.interval_seconds
        for session in self._pool.sessions():
            if session.state is not State.ENDED:
                idle = session.idle_age()
                left = lifetime(idle, False, config, keeps_alive(session.record, config)).left
                if left > 0:  # else its end was tried in this pass, and failed
                    soonest = min(soonest, max(0.05, left))
                warning = config.sessions.warning_hours * 3600.0 - idle
                if warning > 0:
                    soonest = min(soonest, max(0.05, warning))
                planned = scheduled.wakes_in(session.record) if scheduled_work.may_wake(session) else None
                if planned is not None and planned > 0:
                    soonest = min(soonest, max(0.05, planned))
        return soonest

    async def check(self) -> None:
        """One pass."""
        config = self._services.config()
        self.passes += 1
        self._check_storage()
        for name, task in self.background:
            await self._guarded(name, self._do(name, task))
        await self._guarded("adopt", self._pool.adopt_again())
        for managed in self._pool.managed_sessions():
            await self._guarded("late_holder", managed.lifecycle.end_late_holder())
        for managed in self._pool.managed_sessions():
            if managed.session.state is not State.ENDED:
                await self._guarded("life", self._check_life(managed, config))
                await self._guarded("scheduled", self._check_scheduled(managed))
        await self._guarded("resources", self._check_resources(config))
        for managed in self._pool.managed_sessions():
            await self._guarded("folder", self._check_folder(managed.session))
        for managed in self._pool.managed_sessions():
            if managed.session.terminal is not None:
                await self._guarded("strangers", conversation_conflict.check(managed.session, managed.lifecycle))
        connected = [managed for managed in self._pool.managed_sessions() if managed.session.terminal is not None]
        await asyncio.gather(*(self._guarded("progress", self._check_progress(h, config)) for h in connected))
        await self._guarded("prune", self._prune(config))
        self._pool.forget_ended()
        for gone in set(self._watched) - {session.id for session in self._pool.sessions()}:
            del self._watched[gone]

    async def _guarded(self, what: str, work: Awaitable[None]) -> None:
        """The boundary of one step: the others are done in any case, and it is tried again in the next pass."""
        try:
            await work
        except (StorageFailed, Unavailable) as error:
            self._services.log.warning("health_step_refused", extra={"fields": {"step": what, "why": error.message}})
        except Exception:
            self._services.log.exception("health_step_failed", extra={"fields": {"step": what}})

    async def _prune(self, config: Config) -> None:
        if self._refused is None:
            keep = config.events
            self._pool.store.prune(keep.keep_days, keep.keep_count, keep.keep_mb)

    async def _do(self, name: str, task: Callable[[], bool]) -> None:
        if task():
            self._pool.store.append(events.KINDS[name]())

    @staticmethod
    async def _check_folder(session: Session) -> None:
        session_folder.mend(session)

    def _check_storage(self) -> None:
        """Say once that the database refuses, in the log since it is all there is, and once that it takes words again."""
        store = self._pool.store
        if self._refused is None and store.refusal is not None:
            self._refused = (time.monotonic(), store.refusal.message)
            self._services.log.error("storage_refuses", extra={"fields": {"why": store.refusal.message}})
        if self._refused is not None:
            with suppress(StorageFailed):
                store.probe()
                (since, why), self._refused = self._refused, None
                store.append(trouble_events.StorageRecovered(seconds=round(time.monotonic() - since), reason=why))

    def _watch(self, session: Session) -> _Watched:
        return self._watched.setdefault(session.id, _Watched(kept_at=time.monotonic()))

    # -- lifetime --------------------------------------------------------------------------------------------------

    async def _check_life(self, managed: ManagedSession, config: Config) -> None:
        session = managed.session
        if move.leaves(session.record):
            return
        if session.counts_as_active():
            session.touch()
            watched = self._watch(session)
            if time.monotonic() - watched.kept_at > KEEP_SECONDS:
                watched.kept_at = time.monotonic()
                session.store.save_session(session.record)
            return
        life = lifetime(session.idle_age(), session.record.warned, config, keeps_alive(session.record, config))
        if life.verdict == "warn":
            warning = session_events.ExpiryWarning(expires_in_seconds=round(life.left), reason="inactivity")
            with session.change():
                session.record.warned = True
                session.store.save_session(session.record)
                session.store.append(warning, session.id)
        elif life.verdict == "expire":
            try:
                await managed.lifecycle.stop("expired", "inactivity")
            except PilotlightError as error:
                self._services.log.warning(
                    "expiry_failed", extra={"fields": {"session": session.id, "why": str(error)}}
                )

    async def _check_scheduled(self, managed: ManagedSession) -> None:
        """Wake a session in time for what Claude has planned, and say what has come to nothing."""
        session = managed.session
        if move.leaves(session.record):
            return
        if session.state in (State.IDLE, State.HIBERNATED) and session.record.scheduled:
            scheduled_work.overlook(session)
            due = scheduled.wakes_in(session.record)
            if scheduled_work.may_wake(session) and due is not None and due <= 0:
                try:
                    await managed.lifecycle.start("scheduled")
                except PilotlightError as error:  # tried again in the next pass
                    fields = {"session": session.id, "why": error.error_code}
                    self._services.log.warning("scheduled_wake_failed", extra={"fields": fields})

    # -- resources -------------------------------------------------------------------------------------------------

    async def _check_resources(self, config: Config) -> None:
        live = [h for h in self._pool.managed_sessions() if h.session.record.child and h.session.live]
        roots = {h.session.id: _roots(h.session) for h in live}
        samples = await asyncio.to_thread(resources.sample, roots, self._memory)
        cpu = self._cpu.percent()
        now = time.monotonic()
        self.memory_total = sum(sample.memory for sample in samples.values())
        self._pool.admission.cpu_percent = cpu
        for managed in live:
            session, found = managed.session, samples[managed.session.id]
            if not session.live or _roots(session) != roots[session.id]:
                continue  # it has gone while others were measured or replaced: nothing is known of the one that is there now
            session.memory_bytes = managed.counted = found.memory
            watched = self._watch(session)
            if watched.cpu is not None and now > watched.cpu[0]:
                used = max(0.0, found.cpu_seconds - watched.cpu[1])
                session.cpu_percent = round(used / (now - watched.cpu[0]) * 100.0, 1)
            watched.cpu = (now, found.cpu_seconds)
            await self._guarded("memory", self._check_memory(managed, found.memory, config))
        await self._check_room(config)

    async def _check_memory(self, managed: ManagedSession, used: int, config: Config) -> None:
        session = managed.session
        action = memory_action(used, config.limits.memory_per_session_mb, managed.may_hibernate(brief=True))
        now, due = time.monotonic(), managed.hibernate_reason == "memory"
        managed.memory.see(action, now, now - managed.up_since)
        if action == "none":
            managed.hibernate_reason = None if due else managed.hibernate_reason
            return
        if action == "wait" and managed.memory.over(action, now):
            managed.hibernate_reason = managed.hibernate_reason or "memory"
        if action == "wait" or not (due or managed.memory.over(action, now)):
            return
        managed.hibernate_reason = None
        managed.note_recycling(action)
        try:
            if action == "recycle":
                await managed.lifecycle.recycle("memory")
            else:
                await managed.lifecycle.replace("memory")
        except PilotlightError as error:
            self._services.log.warning("recycle_failed", extra={"fields": {"session": session.id, "why": str(error)}})

    async def _check_room(self, config: Config) -> None:
        """With room, sessions stay warm; with less, fewer do: the least recently used ones sleep until it is enough."""
        limits = config.limits
        total = limits.memory_total_gb * GIGABYTE
        self._note_room(
            "memory_total", self.memory_total > total, bytes=self.memory_total, limit_gb=limits.memory_total_gb
        )
        while self._pool.admission.memory > total and await self._pool.admission.put_to_sleep("memory_total"):
            pass
        if self._pool.admission.memory > total:
            self._pool.admission.ask_to_hibernate(
                "memory_total", enough=int(self._pool.admission.memory - ROOMY * total)
            )
        else:
            self._pool.admission.forget_asking("memory_total")
        free = resources.free_memory_percent()
        scarce = free < limits.memory_free_percent
        self._note_room("machine_memory", scarce, free_percent=round(free, 1), limit_percent=limits.memory_free_percent)
        while resources.free_memory_percent() < limits.memory_free_percent and await self._pool.admission.put_to_sleep(
            "machine_memory"
        ):
            pass
        while len(self._pool.live()) > config.sessions.max_concurrent and await self._pool.admission.put_to_sleep(
            "room_needed"
        ):
            pass

    def _note_room(self, what: str, short: bool, **data: float) -> None:
        """Say once that it is short, and once that it is not any more."""
        if short != (what in self._short):
            self._pool.store.append(trouble_events.Pressure(what=what, short=short, **data))
            self._short ^= {what}

    # -- progress --------------------------------------------------------------------------------------------------

    async def _check_progress(self, managed: ManagedSession, config: Config) -> None:
        session = managed.session
        terminal = session.terminal
        if terminal is None:  # its process has gone since the pass began: one for a single message does
            return
        if not await terminal.responds():
            if session.terminal is terminal:
                managed.lifecycle.unresponsive()
            return
        watched, now = self._watch(session), time.monotonic()
        if session.state is State.STARTING and session.record.child:
            age, limit = now - managed.up_since, config.claude.start_timeout_seconds
            if start_overdue(age, min(age, now - terminal.output_at), limit):
                await managed.lifecycle.give_up_start(age)
            return
        shown = signs_of_work(terminal.screen.lines())
        if shown != watched.screen:
            watched.screen, watched.screen_at = shown, now
        quiet = now - max(session.progress_at, watched.screen_at)
        stuck = session.state is State.BUSY and quiet >= config.health.stuck_minutes * 60.0
        if stuck and "stuck" not in session.health:
            session.store.append(trouble_events.Stuck(quiet_seconds=round(quiet)), session.id)
            session.health.begin("stuck")
        elif not stuck:
            session.health.end("stuck")


def _roots(session: Session) -> list[process.ProcessId]:
    found: list[process.ProcessId] = []
    for pair in (session.record.child, session.record.holder):
        if pair:
            found.append(process.ProcessId(*pair))
    return found
