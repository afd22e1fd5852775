"""The health pass: lifetimes, resources, stuck turns, silent holders; and what follows from them.

Decisions are pure (`lifetime`, `memory_action`) and tested over their whole range; the pass only carries them out. What
must not regress: nothing is killed by a timer while it works; memory is given back by sleeping and recycling, which lose
nothing; each thing is said once and not at every pass.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from shared import process
from shared.config import Config
from shared.errors import PilotlightError
from supervisor import resources
from supervisor.pool import Household, Pool
from supervisor.session import Session
from supervisor.states import State

HARD_FACTOR = 2.0
"""This many times the soft memory limit is not waited out until the turn ends."""

FIRST_PASS_SECONDS = 1.0
MEGABYTE = 1024 * 1024
GIGABYTE = 1024 * MEGABYTE


@dataclass(frozen=True)
class Life:
    """What a session's idle age calls for: `alive`, `warn` (once) or `expire`; `left` in seconds."""

    verdict: str
    left: float


def lifetime(idle: float, warned: bool, config: Config, auto: bool) -> Life:
    """Judge an idle age (seconds since the last activity)."""
    sessions = config.sessions
    limit = sessions.timeout_hours * 3600.0
    if auto:
        limit = max(limit, sessions.auto_keep_alive_max_hours * 3600.0)
    if idle >= limit:
        return Life("expire", 0.0)
    warning = sessions.warning_hours * 3600.0 + (limit - sessions.timeout_hours * 3600.0)
    if idle >= warning and not warned:
        return Life("warn", limit - idle)
    return Life("alive", limit - idle)


def memory_action(used: int, limit_mb: float, restful: bool) -> str:
    """What one tree's memory calls for: `none`, `recycle` now, `wait` for the end of the turn, or `replace` at once."""
    limit = limit_mb * MEGABYTE
    if used < limit:
        return "none"
    if used >= HARD_FACTOR * limit:
        return "replace"
    return "recycle" if restful else "wait"


class Health:
    """Runs the passes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._house = pool.house
        self._cpu: dict[str, tuple[float, float]] = {}
        self._recycled_at: dict[str, float] = {}
        self.changed = asyncio.Event()
        self.memory_total = 0
        self.passes = 0
        resources.machine_cpu()

    async def run(self) -> None:
        """A pass every `health.interval_seconds`, or at once when settings change, until cancelled."""
        await asyncio.sleep(FIRST_PASS_SECONDS)
        while True:
            try:
                await self.check()
            except Exception:  # the boundary: a failed pass must not be the last one
                self._house.log.exception("health_pass_failed")
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), self._interval())
            except TimeoutError:
                pass

    def _interval(self) -> float:
        """The configured interval, or less when a lifetime ends sooner."""
        config = self._house.config()
        soonest = config.health.interval_seconds
        for session in self._pool.sessions():
            if session.state is not State.ENDED:
                idle = session.idle_age()
                soonest = min(soonest, max(0.05, lifetime(idle, False, config, session.record.auto_keep_alive).left))
                warning = config.sessions.warning_hours * 3600.0 - idle
                if warning > 0:
                    soonest = min(soonest, max(0.05, warning))
        return soonest

    async def check(self) -> None:
        """One pass."""
        config = self._house.config()
        self.passes += 1
        for household in self._pool.households():
            if household.session.state is not State.ENDED:
                await self._check_life(household, config)
        await self._check_resources(config)
        for household in self._pool.households():
            if household.session.terminal is not None:
                await self._check_progress(household, config)
        self._pool.store.prune(config.events.keep_days, config.events.keep_count)
        self._pool.forget_ended()

    # -- lifetime --------------------------------------------------------------------------------------------------

    async def _check_life(self, household: Household, config: Config) -> None:
        session = household.session
        if session.counts_as_active():
            session.touch()
            return
        life = lifetime(session.idle_age(), session.record.warned, config, session.record.auto_keep_alive)
        if life.verdict == "warn":
            session.record.warned = True
            with session.store.transaction():
                session.store.save_session(session.record)
                session.store.append(
                    "warning", session.id, {"expiresInSeconds": round(life.left), "reason": "inactivity"}
                )
        elif life.verdict == "expire":
            try:
                await household.lifecycle.stop("expired", "inactivity")
            except PilotlightError as error:
                self._house.log.warning("expiry_failed", extra={"fields": {"session": session.id, "why": str(error)}})

    # -- resources -------------------------------------------------------------------------------------------------

    async def _check_resources(self, config: Config) -> None:
        live = [h for h in self._pool.households() if h.session.record.child and h.session.live]
        roots = {h.session.id: _roots(h.session) for h in live}
        samples = await asyncio.to_thread(resources.sample, roots)
        cpu = resources.machine_cpu()
        now = time.monotonic()
        self.memory_total = sum(sample.memory for sample in samples.values())
        self._pool.note_pressure(self.memory_total, cpu)
        for household in live:
            session, found = household.session, samples[household.session.id]
            session.memory_bytes = found.memory
            before = self._cpu.get(session.id)
            if before is not None and now > before[0]:
                session.cpu_percent = round(max(0.0, found.cpu_seconds - before[1]) / (now - before[0]) * 100.0, 1)
            self._cpu[session.id] = (now, found.cpu_seconds)
            await self._check_memory(household, found.memory, config)
        for gone in set(self._cpu) - set(roots):
            del self._cpu[gone]
        await self._check_total(config)

    async def _check_memory(self, household: Household, used: int, config: Config) -> None:
        session = household.session
        action = memory_action(used, config.limits.memory_per_session_mb, household.restful())
        if action in ("none", "wait"):
            return
        data = {"bytes": used, "limitMb": config.limits.memory_per_session_mb, "action": action}
        last = self._recycled_at.get(session.id, 0.0)
        if action == "recycle" and time.monotonic() - last < 4 * config.health.interval_seconds:
            return
        self._recycled_at[session.id] = time.monotonic()
        session.store.append("memory", session.id, data)
        try:
            if action == "recycle":
                await household.lifecycle.recycle("memory")
            else:
                await household.lifecycle.replace("memory")
        except PilotlightError as error:
            self._house.log.warning("recycle_failed", extra={"fields": {"session": session.id, "why": str(error)}})

    async def _check_total(self, config: Config) -> None:
        limit = config.limits.memory_total_gb * GIGABYTE
        while self.memory_total > limit:
            sleepiest = self._pool.sleepiest()
            if sleepiest is None:
                self._pool.note_pressure(self.memory_total, None)
                return
            freed = sleepiest.memory_bytes or 0
            try:
                await self._pool.household(sleepiest.id).lifecycle.hibernate("memory_total")
            except PilotlightError:
                return
            self.memory_total -= freed
            self._pool.note_pressure(self.memory_total, None)

    # -- progress --------------------------------------------------------------------------------------------------

    async def _check_progress(self, household: Household, config: Config) -> None:
        session = household.session
        terminal = session.terminal
        assert terminal is not None
        if not await terminal.responds():
            if session.terminal is terminal:
                household.lifecycle.unresponsive()
            return
        quiet = time.monotonic() - max(session.progress_at, terminal.output_at)
        stuck = session.state is State.BUSY and quiet >= config.health.stuck_minutes * 60.0
        if stuck and session.health == "ok":
            session.health = "stuck"
            session.store.append("stuck", session.id, {"quietSeconds": round(quiet)})
        elif not stuck and session.health == "stuck":
            session.health = "ok"


def _roots(session: Session) -> list[process.ProcessId]:
    found: list[process.ProcessId] = []
    for pair in (session.record.child, session.record.holder):
        if pair:
            found.append(process.ProcessId(*pair))
    return found
