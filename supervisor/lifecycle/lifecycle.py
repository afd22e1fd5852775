"""Starting, adopting, ending and reviving the process of one session.

Start, restart, upgrade and crash recovery are one path: what the files of the session's directory say is compared with
what lives, and the difference is made good. Invariants: one start or stop at a time; a process is only ever started
under the lock of its conversation, so two never write one transcript; a message under way is settled or put back before
the process that carried it is replaced; a stop that was begun is finished, by the next supervisor if need be; the end of
a process is dealt with once, however many tell of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import msgspec

from shared import process
from shared.bus.session_events import Adopted, LateProcessEnded
from shared.errors import Conflict, PilotlightError, StartFailed, StartPostponed, StorageFailed
from shared.process import ProcessId
from supervisor.claude import command_line, release
from supervisor.claude.home import transcript_path
from supervisor.failpoints import failpoint
from supervisor.lifecycle import ending, launch, one_message, orphans, restart_policy, scheduled_work, teardown
from supervisor.lifecycle.conversation_lock import refuse_second_process
from supervisor.lifecycle.exits import ExitHandler
from supervisor.lifecycle.hibernation import await_flush, check_can_hibernate
from supervisor.lifecycle.holder_link import HolderLink
from supervisor.lifecycle.restart_policy import Exit
from supervisor.session import move, receipts
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.state.states import State, StateEvent
from supervisor.store.options import Stop
from supervisor.store.store import MessageRecord
from supervisor.terminal.holder_client import HolderError

ADOPT_SECONDS = 0.5
"""How long the start of the supervisor waits for one holder; a slow one is waited for beside the others' service."""

Admission = Callable[[Session], AbstractAsyncContextManager[None]]


class Lifecycle:
    """The process of one session. `admit` waits for a place among the live ones, kept while the start lasts, or raises
    Busy; `wake` tells the sender that there may be something to send."""

    def __init__(self, session: Session, admit: Admission, wake: Callable[[], None]) -> None:
        self._session = session
        self._admit = admit
        self._wake_sender = wake
        self._one = asyncio.Lock()
        self._background = BackgroundTasks(session.services.log, session.id)
        self._deaths = ExitHandler(session, self._background, self)
        self._link = HolderLink(session, self._background, self._deaths)
        self._paused_until = 0.0
        session.restart = self.replace

    # -- starting --------------------------------------------------------------------------------------------------

    async def ensure_process(self) -> None:
        """Return with a live process, starting or waking one if need be; after crashes not before the pause is over.
        Raise StartFailed, Busy or Conflict."""
        while self._session.terminal is None and not self._session.per_message:
            await self._start_when_due(None)

    async def start_for(self, message: MessageRecord) -> None:
        """Return with a process that was started for this one message, unless there is one of whatever kind by then. Raise
        as `ensure_process` does."""
        while not self._session.live and self._session.per_message:
            await self._start_when_due(message)

    async def _start_when_due(self, message: MessageRecord | None) -> None:
        session = self._session
        self._refuse_over()
        pause = self._paused_until - time.monotonic()
        if not self._startable():
            await session.changed.wait_for(lambda: session.terminal is not None or self._startable(), 5.0)
        elif pause > 0:
            await session.changed.wait_for(lambda: session.terminal is not None or session.state is State.ENDED, pause)
        else:
            await self.start("message", message)

    def _startable(self) -> bool:
        """Whether there is no process, and nobody is making or ending one."""
        session = self._session
        if self._one.locked():
            return False
        return not session.live or (session.state is State.STARTING and not session.record.child)

    def _refuse_over(self) -> None:
        move.refuse(self._session.record)
        if self._session.state is State.ENDED:
            reason = self._session.record.end_reason
            raise Conflict(f"The session has ended ({reason}). Reopen it to go on.", code="session_ended")

    async def start(self, cause: str, message: MessageRecord | None = None) -> None:
        """Spawn a holder and its `claude`, unless they live; for this one message only, if there is one. Raise StartFailed with
        the cause; the session has then ended, or sleeps. Raise StartPostponed when the cause may pass: it is then tried again
        from here. A start that was begun goes on when its caller is cancelled."""
        begun = asyncio.ensure_future(self._start(cause, message))
        self._background.keep(begun)
        await asyncio.shield(begun)

    async def _start(self, cause: str, message: MessageRecord | None) -> None:
        async with self._one:
            session = self._session
            self._refuse_over()
            if session.terminal is not None or (session.live and session.record.child):
                return
            if session.per_message and message is None:
                raise one_message.refusal("A process that stays")
            try:
                async with self._admit(session):
                    await self._spawn(cause, message)
            except StartFailed as error:
                if not ending.start_failed(session, error):
                    raise
                self.revive()
                raise StartPostponed(f"{error.message} It is tried again.", code=error.error_code) from error
            except (PilotlightError, OSError) as error:
                if session.live and session.terminal is None:
                    session.apply(StateEvent.SLEPT, "start_refused", child=None, holder=None)
                if isinstance(error, OSError):
                    raise StorageFailed(f"The session's files cannot be written: {error}.") from error
                raise

    async def _spawn(self, cause: str, message: MessageRecord | None) -> None:
        session, record = self._session, self._session.record
        if not Path(record.project_path).is_dir():
            raise StartFailed(f"The project folder {record.project_path} is gone.", code="project_path_missing")
        await orphans.end_them(session)
        if await self._take_over():
            return
        await command_line.learn_release(session.services.config().claude, session.services.environment)
        resume = launch.is_resumed(session)
        launch.make_directories(session)
        start = launch.command_line(session, resume, message)
        refuse_second_process(session)
        if not resume:
            # Lines about a conversation that never began would make the CLI say that its id is already in use.
            home = session.services.claude_home
            transcript_path(home, record.project_path, record.conversation_id).unlink(missing_ok=True)
        config, own = session.services.config().claude, session.services.environment
        session.forget_process(release.known(command_line.find(config, own)))
        self._deaths.overdue = None
        generation = record.generation + 1
        if message is not None:
            one_message.lay_out(session, message, generation)
        socket = session.services.paths.holder_socket(record.id, generation)
        session.apply(
            StateEvent.SPAWN, cause, generation=generation, socket=str(socket), child=None, holder=None, end_reason=None
        )
        await failpoint("spawning")
        info = await launch.launch_holder(session, launch.spec(session, start, socket), self._take_over)
        if info is None:
            return
        await failpoint("launched")
        orphans.note_holder(session, info)
        session.services.log.info(
            "session_started",
            extra={"fields": {"session": record.id, "pid": info.child.pid, "resume": resume, "cause": cause}},
        )
        await self._link.connect(socket)

    async def take_over(self) -> bool:
        """Connect to a process of this session that lives although the database does not know it. Whether there is one."""
        async with self._one:
            return await self._take_over()

    async def _take_over(self) -> bool:
        """Connect to a holder of this session that lives although the database does not know it."""
        session = self._session
        info = orphans.living(session)
        if info is None:
            return False
        if orphans.exit_on_disk(session, info.child.id) is not None:
            return False
        session.apply(StateEvent.SPAWN, "taken_over", socket=info.socket)
        orphans.note_holder(session, info)
        session.store.append(Adopted(pid=info.child.pid, generation=session.record.generation), session.id)
        await self._link.connect(Path(info.socket))
        return True

    async def adopt(self) -> str:
        """At the supervisor's start: find out what became of the process. Return adopted, resumed, asleep or lost."""
        session, record = self._session, self._session.record
        if session.state in (State.HIBERNATED, State.ENDED):
            if record.failures and session.state is State.HIBERNATED:
                self.revive()
            return "asleep"
        _restore_current(session)
        info = orphans.holder_info(session)
        stopping = session.state is State.STOPPING
        if info is not None and process.alive(info.id) and info.socket == record.socket:
            orphans.note_holder(session, info)
            if record.ready_once:
                session.hooks_heard()
            if not stopping:
                session.store.append(Adopted(pid=info.child.pid, generation=record.generation), session.id)
            await self._link.connect(Path(info.socket), ADOPT_SECONDS)
            if stopping:
                self._background.do(self.finish_stop)
            return "adopted"
        if stopping:
            self._background.do(self.finish_stop)
            return "asleep"
        if info is None and record.holder and process.alive(ProcessId(*record.holder)) and record.socket:
            await self._link.connect(Path(record.socket), ADOPT_SECONDS)
            return "adopted"
        if record.child is None and (info is None or info.socket != record.socket):
            # The supervisor died between the decision to start and the start; whoever comes up meanwhile is taken over.
            session.apply(StateEvent.SLEPT, "never_started")
            self._wake_by_itself("never_started")
            return "resumed"
        if info is not None:
            orphans.note_holder(session, info)
        await orphans.end_them(session)
        await self._deaths.after_exit(record.generation, orphans.exit_on_disk(session, None) or Exit())
        return "lost" if session.record.state == State.ENDED else "resumed"

    # -- ending ----------------------------------------------------------------------------------------------------

    async def stop(self, reason: str, cause: str) -> None:
        """End the process and its whole tree, and the session with `reason`. Returns when nothing is left."""
        async with self._one:
            if self._session.state is State.ENDED:
                return
            if self._session.state is State.IDLE:
                await await_flush(self._session)
            await self._stop_process(Stop(State.ENDED, cause, reason))

    async def hibernate(self, cause: str, brief: bool = False, lose_scheduled: bool = False) -> None:
        """End the process and keep the conversation. Raise Conflict unless the session is idle and at rest; for `brief` and
        `lose_scheduled` see `check_can_hibernate`."""
        async with self._one:
            session = self._session
            if session.state is State.HIBERNATED:
                return
            check_can_hibernate(session, brief, lose_scheduled)
            await await_flush(session)
            check_can_hibernate(session, brief, lose_scheduled)
            await self._stop_process(Stop(State.HIBERNATED, cause))
            if lose_scheduled:
                scheduled_work.process_ends(session, cause, every=True)
        self._wake_sender()

    async def recycle(self, cause: str) -> None:
        """A new process for the same conversation, between turns."""
        await self.hibernate(cause, brief=True)
        await self.start(cause)

    async def replace(self, cause: str) -> None:
        """A new process at once, for one that may not go on: what it was doing is `interrupted`, the queue goes on."""
        if self._session.terminal is None:
            return
        await self.suspend(cause)
        await self.start(cause)
        self._wake_sender()

    async def suspend(self, cause: str) -> None:
        """End the process, at work or not, and keep the conversation asleep; what was cut off is `interrupted`."""
        async with self._one:
            if self._session.live:
                await self._stop_process(Stop(State.HIBERNATED, cause))

    async def give_up_start(self, after: float) -> None:
        """End a process that does not get to its prompt; what follows is decided as after any death."""
        async with self._one:
            terminal = self._session.terminal
            if self._session.state is State.STARTING and terminal is not None:
                self._deaths.overdue = after
                with suppress(HolderError):  # the next pass tries again
                    await terminal.stop(teardown.STOP_GRACE_SECONDS)

    async def _stop_process(self, stop: Stop) -> None:
        """End the tree and do what was intended with the session; what is begun here is finished, whatever happens."""
        session = self._session
        try:
            if session.live:
                session.apply(
                    StateEvent.STOP, stop.cause, intent=msgspec.structs.replace(session.record.intent, stop=stop)
                )
                await failpoint("stopping")
                await teardown.end_tree(session, self._link, self._deaths.gone)
            elif orphans.living(session) is not None:
                await teardown.end_tree(session, self._link, self._deaths.gone)
            self._stopped(stop)
        except BaseException:
            if session.state is State.STOPPING:
                self._background.do(self.finish_stop)
            raise

    async def finish_stop(self) -> None:
        """Go on with a stop that was begun by a supervisor that died, or that failed."""
        async with self._one:
            session = self._session
            if session.state is State.STOPPING:
                await teardown.end_tree(session, self._link, self._deaths.gone)
                self._stopped(session.record.intent.stop or Stop(State.HIBERNATED, "stopped"))
        self._wake_sender()

    def _stopped(self, stop: Stop) -> None:
        session = self._session
        receipts.conclude_cut_off(session, time.monotonic())
        if stop.to == State.ENDED:
            ending.end(session, stop.cause, stop.reason or "killed", None, None)
        else:
            intent = msgspec.structs.replace(session.record.intent, stop=None)
            session.apply(StateEvent.SLEPT, stop.cause, child=None, holder=None, failures=0, intent=intent)
            scheduled_work.process_ends(session, stop.cause)
            orphans.drop_ring(session)

    async def end_late_holder(self) -> None:
        """End the process that a holder has made which came up after its start was given up: nobody would count it."""
        session = self._session
        if session.live or self.busy or orphans.living(session) is None:
            return
        async with self._one:
            if not session.live and orphans.living(session) is not None:
                await teardown.end_tree(session, self._link, self._deaths.gone)
                with session.change():
                    session.record.child = session.record.holder = None
                    session.store.save_session(session.record)
                    session.store.append(LateProcessEnded(generation=session.record.generation), session.id)

    def reopen(self) -> None:
        """Make an ended session one that sleeps, to be woken by its next message. Raise Conflict when it is open, or when its
        conversation is gone."""
        session = self._session
        if session.state is not State.ENDED:
            raise Conflict("The session is open.", code="session_open")
        launch.refuse_lost(session)
        session.touch()
        session.apply(
            StateEvent.SPAWN,
            "reopened",
            end_reason=None,
            end_detail=None,
            ended_at=None,
            failures=0,
            child=None,
            holder=None,
        )
        session.apply(StateEvent.SLEPT, "reopened")

    # -- by itself -------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a start or a stop is at work."""
        return self._one.locked()

    def unresponsive(self) -> None:
        """The holder does not answer: say so, let its connection go and try again for ever."""
        self._link.unresponsive()

    def unanswered(self, socket: Path) -> None:
        """As `HolderLink.unanswered`."""
        self._link.unanswered(socket)

    def follow_conversation(self) -> None:
        """The process has gone on to another conversation: its holder locks that one, and lets go of the one before."""
        self._link.follow_conversation()

    def revive(self) -> None:
        """Start again, after a pause that grows with the deaths."""
        session = self._session
        pause = restart_policy.pause(session.record.failures, session.services.config().health.restart_seconds)
        self._paused_until = time.monotonic() + pause
        self._wake_by_itself("crashed", pause)

    def _wake_by_itself(self, cause: str, pause: float = 0.0) -> None:
        async def wake() -> None:
            await asyncio.sleep(pause)
            if self._session.state is State.HIBERNATED and not self._session.per_message:
                try:
                    await self.start(cause)
                except PilotlightError as error:
                    fields = {"session": self._session.id, "why": error.error_code}
                    self._session.services.log.warning("revive_failed", extra={"fields": fields})
            self._wake_sender()

        self._background.do(wake)


def _restore_current(session: Session) -> None:
    """The message under way, and nothing armed: who was typed, and who was handed over, is on disk."""
    outbox = session.dir / "outbox"
    for pending in outbox.glob("*.pending"):
        pending.unlink(missing_ok=True)
    for message in session.store.open_messages(session.id):
        if message.state in ("typed", "submitted") or receipts.is_claimed(session, message):
            receipts.take_up(session, message)
            return
