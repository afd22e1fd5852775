"""One session with the two that act for it, and what the pool remembers of its process: what it counts for, and why it has
to go at the end of the turn.

What must not regress: a session that always has work makes room between two turns as an idle one does, and loses nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from shared.bus import trouble_events
from shared.errors import Conflict, PilotlightError
from supervisor.delivery import interrupt, per_message
from supervisor.delivery.auto_answer import AutoAnswer
from supervisor.delivery.limit_dialog import LimitDialog
from supervisor.delivery.per_message import PerMessageCarrier
from supervisor.delivery.prompt import PromptCarrier
from supervisor.delivery.queue import Sender
from supervisor.delivery.trust_dialog import TrustDialog
from supervisor.lifecycle import recycling
from supervisor.lifecycle.hibernation import check_can_hibernate
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.observation import log_tails, print_stream
from supervisor.observation.log_reader import LogReader
from supervisor.observation.observer import Observer
from supervisor.pool.memory_limit import Pauses
from supervisor.pool.redraw import Redraw
from supervisor.session import receipts
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.terminal.terminal import SETTLE_SECONDS

SILENT_TERMINAL_SECONDS = 3.0
SOON_SECONDS = 0.005
TOLD_SECONDS = 0.1
"""How often to look at one of which something is expected, and whose files tell when they grow: for what only time tells."""

CALM_SECONDS = 0.1
QUIET_POLL_SECONDS = 0.5
"""How often to look at one that is idle or waits, and has been quiet for a while. Output of its terminal
has it looked at soon, and whatever Claude does shows there first (measured: 1.1 to 0.7 % of a core for 105 sessions)."""


TOLD_QUIET_SECONDS = 2.0
"""The same for one that is idle and is told when its files grow."""


class Admissions(Protocol):
    """What a managed session needs of admission."""

    def admit(self, session: Session) -> AbstractAsyncContextManager[None]:
        """A place for a start."""

    async def let_others_go_first(self, session: Session) -> None:
        """Wait for those that wait for room."""


class ManagedSession:
    """One session with the two that act for it."""

    def __init__(self, session: Session, admission: Admissions, poll_soon: Callable[[], None]) -> None:
        self.session = session
        session.changed.listener = self.look_soon
        self._poll_soon = poll_soon
        self.due = 0.0
        """When to look at it again (monotonic)."""

        self._looked_at = 0.0
        self._logs, self._observer = LogReader(session), Observer(session)
        session.attend(self._logs, self._observer)
        self.lifecycle = Lifecycle(session, admission.admit, self._wake)
        interactive = PromptCarrier(session, self.lifecycle, self.between_turns)
        self.sender = Sender(session, interactive, PerMessageCarrier(session, self.lifecycle))
        self._releasing: asyncio.Task[None] | None = None
        self.policy = AutoAnswer(session)
        self._behind = self._told = False
        self._background = BackgroundTasks(session.services.log, session.id)
        self.trust = TrustDialog(session, self._background)
        self.redraw = Redraw(session, self._background)
        self.limit = LimitDialog(session, self._background)
        self.task: asyncio.Task[None] | None = None
        self.up_since = time.monotonic()
        self.hibernate_reason: str | None = None
        """Why its process has to go at the end of the turn, though messages wait: one that always has work is never idle."""

        self.memory = Pauses()
        self.counted = 0
        """Bytes that its process tree counts for: as measured, or as expected until the first measurement."""
        self._renewal: asyncio.Task[None] | None = None
        self._admission = admission

    def look(self, now: float) -> bool:
        """Read what is new, judge, settle. Return whether it is to be looked at again soon."""
        session, self._looked_at = self.session, now
        if session.terminal is None:
            return False
        self._behind = not self._logs.read(log_tails.READ_SECONDS)
        if self._behind:
            return True  # what it does is judged when all is known that it has said
        if session.printing:
            print_stream.note_turn(session)
            return True
        self._observer.look(now)
        self._logs.conversation.follow_status(now)
        receipts.settle_current(session, now)
        self._observer.forget_deaths(now)
        return session.current is not None or session.state in (State.STARTING, State.STOPPING, State.BUSY)

    def look_soon(self) -> None:
        """Something has changed that a look may have to tell. A screen tells nothing before it has settled, and that of a turn,
        which is drawn all the time, nothing that files do not tell sooner, unless something is asked."""
        terminal, due = self.session.terminal, 0.0
        if self._told and terminal is not None:
            due = self._looked_at + TOLD_SECONDS if self._at_work else terminal.output_at + SETTLE_SECONDS
        if due < self.due:
            self.due = due
            self._poll_soon()

    @property
    def _at_work(self) -> bool:
        return self.session.state is State.BUSY and not self.session.permissions.pending

    def look_now(self) -> None:
        """One of its files has grown."""
        self.due = 0.0
        self._poll_soon()

    @property
    def files(self) -> list[Path | None]:
        """What a look reads; None for what is not known yet."""
        return self._logs.files

    def patience(self, soon: bool, told: bool, now: float) -> float:
        """For how many seconds nothing needs a look, unless something changes. `told`: it is told when its files do."""
        session, self._told = self.session, told
        if not soon and self.quiet(now):
            return TOLD_QUIET_SECONDS if told and session.state is State.IDLE else QUIET_POLL_SECONDS
        if not soon:
            return CALM_SECONDS
        if not told or session.terminal is None or session.printing or session.state is State.STARTING or self._behind:
            return SOON_SECONDS
        if self._at_work:
            return TOLD_SECONDS
        settles = session.terminal.output_at + SETTLE_SECONDS - now
        return min(max(settles, SOON_SECONDS), TOLD_SECONDS) if settles > 0 else TOLD_SECONDS

    def tend(self) -> None:
        """Begin what the last look has shown to be due."""
        session = self.session
        if session.lock_outdated:
            self.lifecycle.follow_conversation()
        if recycling.is_stale(session):
            self.renew()
        if session.permissions.pending:
            self.policy.tend()
        if session.state is State.WAITING and session.record.trust:
            self.trust.tend()
        self.redraw.tend(self._looked_at)
        if session.state is State.WAITING and session.record.held_for:
            self.limit.tend()

    def follow_delivery(self) -> None:
        """The way to deliver may be another one: an interactive process that is not wanted any more goes."""
        session = self.session
        session.changed.notify()
        unwanted = session.per_message and session.live and not session.printing
        if unwanted and (self._releasing is None or self._releasing.done()):
            self._releasing = asyncio.create_task(self._release(), name=f"release-{session.id}")
        self.sender.wake()

    async def _release(self) -> None:
        try:
            await per_message.release(self.session, self.lifecycle)
        except PilotlightError as error:
            fields = {"session": self.session.id, "why": error.error_code}
            self.session.services.log.warning("release_failed", extra={"fields": fields})

    def _wake(self) -> None:
        self.sender.wake()

    async def adopt(self) -> str:
        """As `Lifecycle.adopt`; an interrupt that the earlier supervisor had begun is gone on with."""
        outcome = await self.lifecycle.adopt()
        session = self.session
        withdrawing = session.record.process.withdrawing is not None
        if outcome == "adopted" and session.state is not State.STOPPING and withdrawing:
            self._background.do(lambda: interrupt.finish(session))
        return outcome

    def may_hibernate(self, brief: bool = False) -> bool:
        """Whether it may be put to sleep now; `brief`: to be woken at once."""
        try:
            check_can_hibernate(self.session, brief)
        except Conflict:
            return False
        return self.session.store.count_open(self.session.id) == 0

    def quiet(self, now: float) -> bool:
        """Whether nothing is expected of it that its terminal would not announce."""
        session = self.session
        if session.terminal is None or session.state not in (State.IDLE, State.WAITING):
            return session.terminal is None
        return now - max(session.progress_at, session.terminal.output_at) > SILENT_TERMINAL_SECONDS

    def renew(self) -> None:
        """Give it a process with its present settings, if it is at rest; a queue sees to it by itself."""
        if self.may_hibernate(brief=True) and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._renew(), name=f"renewal-{self.session.id}")

    async def _renew(self) -> None:
        try:
            await recycling.renew(self.session, self.lifecycle)
        except PilotlightError as error:
            fields = {"session": self.session.id, "why": error.error_code}
            self.session.services.log.warning("renewal_failed", extra={"fields": fields})

    async def between_turns(self) -> bool:
        """Between two turns: do what is due. Return whether the process has gone."""
        cause, self.hibernate_reason = self.hibernate_reason, None
        if cause is None:
            return False
        try:
            if cause == "memory":
                self.note_recycling()
                await self.lifecycle.recycle(cause)
            else:
                await self.lifecycle.hibernate(cause)
                await self._admission.let_others_go_first(self.session)
        except Conflict:
            self.hibernate_reason = cause
            return False
        return True

    def note_recycling(self, action: str = "recycle") -> None:
        """Say it, and wait ever longer before the next: a limit may be below what its process needs to begin with."""
        session, config = self.session, self.session.services.config()
        limit = config.limits.memory_per_session_mb
        session.store.append(
            trouble_events.MemoryLimit(bytes=session.memory_bytes, limit_mb=limit, action=action), session.id
        )
        self.memory.begin(action, time.monotonic(), config.health.interval_seconds)

    def begin(self) -> None:
        """Start sending."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.sender.run(), name=f"sender-{self.session.id}")
        self.follow_delivery()
        self.sender.wake()


def follow_delivery(managed_sessions: Callable[[], list[ManagedSession]]) -> None:
    """The way to deliver may be another one, for all."""
    for managed in managed_sessions():
        managed.follow_delivery()
