"""Starting, adopting, ending and reviving the process of one session.

Start, restart, upgrade and crash recovery are one path: what the files of the session's directory say is compared with
what lives, and the difference is made good. Invariants: one start or stop at a time; a process is only ever started
under the lock of its conversation, so two never write one transcript; a message under way is settled or put back before
the process that carried it is replaced; a stop that was begun is finished, by the next supervisor if need be; the end of
a process is dealt with once, however many tell of it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

from shared import process
from shared.errors import Conflict, PilotlightError, StartFailed, StorageFailed, Unavailable
from shared.process import ProcessId
from supervisor import aftermath, attachments, holder_files, strays
from supervisor.aftermath import Exit
from supervisor.answers import choose
from supervisor.claude import command, dialogs, leftovers
from supervisor.claude.journal import find_transcript, holds_conversation, transcript_path
from supervisor.holder_client import (
    HolderError,
    HolderInfo,
    HolderTimeout,
    SpawnSpec,
    launch,
    read_exit,
    read_info,
)
from supervisor.pauses import pause_point
from supervisor.ring import read_tail
from supervisor.screen import Screen
from supervisor.session import TRUST_TRIES, Session
from supervisor.states import Event, State
from supervisor.store import now_ms
from supervisor.terminal import CONNECT_SECONDS, Terminal

RING_BYTES = 1 << 20
LAST_WORDS_BYTES = 1 << 16
LAUNCH_SECONDS = 10.0
STOP_GRACE_SECONDS = 2.0
STOP_SECONDS = 15.0
FLUSH_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
ADOPT_SECONDS = 0.5
"""How long the start of the supervisor waits for one holder; a slow one is waited for beside the others' service."""

AGAIN_SECONDS = 1.0
LAST_RUNGS = ((1, 1.0), (15, 2.0), (9, 2.0))
"""Signal and patience for a tree whose holder is gone: HUP, TERM, KILL."""

_START_ERRORS = {
    "not_found": "claude_not_found",
    "not_executable": "claude_not_executable",
    "bad_cwd": "project_path_missing",
    "locked": "conversation_in_use",
}
_PASSING = frozenset({"conversation_in_use", "holder_timeout"})
"""Start errors that say nothing about the conversation: it sleeps, and the next message tries again."""

Admission = Callable[[Session], AbstractAsyncContextManager[None]]


class Lifecycle:
    """The process of one session. `admit` waits for a place among the live ones, kept while the start lasts, or raises
    Busy; `wake` tells the sender that there may be something to send."""

    def __init__(self, session: Session, admit: Admission, wake: Callable[[], None]) -> None:
        self._session = session
        self._admit = admit
        self._wake_sender = wake
        self._one = asyncio.Lock()
        self._gone = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._trusted = False
        self._rest_until = 0.0
        session.restart = self.replace

    # -- starting --------------------------------------------------------------------------------------------------

    async def ensure_process(self) -> None:
        """Return with a live process, starting or waking one if need be; after crashes not before the pause is over.
        Raise StartFailed, Busy or Conflict."""
        session = self._session
        while session.terminal is None:
            if session.state is State.ENDED:
                raise self._ended()
            rest = self._rest_until - time.monotonic()
            if not self._startable():
                await session.pulse.until(lambda: session.terminal is not None or self._startable(), 5.0)
            elif rest > 0:
                await session.pulse.until(lambda: session.terminal is not None or session.state is State.ENDED, rest)
            else:
                await self.start("message")

    def _startable(self) -> bool:
        """Whether there is no process, and nobody is making or ending one."""
        session = self._session
        if self._one.locked():
            return False
        return not session.live or (session.state is State.STARTING and not session.record.child)

    def _ended(self) -> Conflict:
        reason = self._session.record.end_reason
        return Conflict(f"The session has ended ({reason}). Reopen it to go on.", code="session_ended")

    async def start(self, cause: str) -> None:
        """Spawn a holder and its `claude`, unless they live. Raise StartFailed with the cause; the session has then
        ended, or sleeps when the cause may pass. A start that was begun goes on when its caller is cancelled."""
        begun = asyncio.ensure_future(self._start(cause))
        self._background.add(begun)
        begun.add_done_callback(self._background.discard)
        await asyncio.shield(begun)

    async def _start(self, cause: str) -> None:
        async with self._one:
            session = self._session
            if session.state is State.ENDED:
                raise self._ended()
            if session.terminal is not None or (session.live and session.record.child):
                return
            try:
                async with self._admit(session):
                    await self._spawn(cause)
            except StartFailed as error:
                self._start_failed(error)
                raise
            except (PilotlightError, OSError) as error:
                if session.live and session.terminal is None:
                    session.apply(Event.SLEPT, "start_refused", child=None, holder=None)
                if isinstance(error, OSError):
                    raise StorageFailed(f"The session's files cannot be written: {error}.") from error
                raise

    async def _spawn(self, cause: str) -> None:
        session, record = self._session, self._session.record
        if not Path(record.project_path).is_dir():
            raise StartFailed(f"The project folder {record.project_path} is gone.", code="project_path_missing")
        await self._end_strays()
        if await self._take_over():
            return
        resume = self._has_transcript()
        if not resume and record.options.get("spoken") == record.conversation_id:
            raise StartFailed(
                f"The transcript of the conversation ({record.transcript}) is gone, so it cannot be resumed.",
                code="transcript_missing",
            )
        self._make_directories()
        start = self._command_line(resume)
        self._refuse_second_process()
        if not resume:
            # Lines about a conversation that never began would make the CLI say that its id is already in use.
            home = session.house.claude_home
            transcript_path(home, record.project_path, record.conversation_id).unlink(missing_ok=True)
        record.ready_once = False
        record.turn_prompt = None
        record.background = []
        record.options.pop("last_end", None)
        record.options.pop("stale", None)
        session.session_started = False
        session.status = None
        session.health = "ok"
        self._trusted = False
        generation = record.generation + 1
        socket = session.house.paths.holder_socket(record.id, generation)
        session.apply(
            Event.SPAWN, cause, generation=generation, socket=str(socket), child=None, holder=None, end_reason=None
        )
        await pause_point("spawning")
        info = await self._launch(self._spec(start, socket))
        if info is None:
            return
        await pause_point("launched")
        self._note_holder(info)
        session.house.log.info(
            "session_started",
            extra={"fields": {"session": record.id, "pid": info.child.pid, "resume": resume, "cause": cause}},
        )
        await self._connect(socket)

    def _command_line(self, resume: bool) -> command.Launch:
        session, record, house = self._session, self._session.record, self._session.house
        options = record.options
        return command.launch(
            config=house.config().claude,
            own=house.environment,
            session_dir=session.dir,
            temporary=house.paths.temporary_dir(record.id),
            cwd=record.project_path,
            conversation_id=record.conversation_id,
            resume=resume,
            fork_from=record.fork_from if not resume else None,
            options=command.Options(
                model=options.get("model"),
                permission_mode=options.get("permission_mode"),
                effort=options.get("effort"),
                add_dirs=tuple(options.get("add_dirs") or ()),
                mcp_config=options.get("mcp_config"),
                append_system_prompt=options.get("append_system_prompt"),
            ),
        )

    def _spec(self, start: command.Launch, socket: Path) -> SpawnSpec:
        sessions = self._session.house.config().sessions
        return SpawnSpec(
            argv=start.argv,
            env=start.env,
            cwd=start.cwd,
            cols=sessions.columns,
            rows=sessions.rows,
            ring_bytes=RING_BYTES,
            socket=str(socket),
            locks=[str(self._conversation_lock())],
        )

    async def _launch(self, spec: SpawnSpec) -> HolderInfo | None:
        """The new holder; None when one that an earlier supervisor has begun to start was taken over instead."""
        own_lock = str(self._session.dir / holder_files.LOCK)
        end = time.monotonic() + LAUNCH_SECONDS
        while True:
            try:
                return await launch(self._session.dir, spec, LAUNCH_SECONDS)
            except HolderTimeout as error:
                raise StartFailed(f"The session's holder did not start: {error}", code="holder_timeout") from error
            except HolderError as error:
                # Our own lock is held by a holder that is still coming up, or has a moment left to live.
                if error.code == "locked" and error.data.get("path") == own_lock and time.monotonic() < end:
                    if await self._take_over():
                        return None
                    await asyncio.sleep(0.02)
                    continue
                code = _START_ERRORS.get(error.code, "start_failed")
                raise StartFailed(f"`claude` could not be started: {error.message}", code=code) from error

    async def _take_over(self) -> bool:
        """Connect to a holder of this session that lives although the database does not know it."""
        info = self._info()
        if info is None or not process.alive(info.id) or not process.alive(info.child.id):
            return False
        if self._exit_on_disk(info.child.id) is not None:
            return False
        session = self._session
        session.apply(Event.SPAWN, "taken_over", socket=info.socket)
        self._note_holder(info)
        session.store.append("adopted", session.id, {"pid": info.child.pid, "generation": session.record.generation})
        await self._connect(Path(info.socket))
        return True

    def _note_holder(self, info: HolderInfo) -> None:
        record = self._session.record
        record.holder = [info.pid, info.start_time]
        record.child = [info.child.pid, info.child.start_time]
        self._session.store.save_session(record)

    def _make_directories(self) -> None:
        session = self._session
        temporary = session.house.paths.temporary_dir(session.id)
        try:
            temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("", "spool", "outbox", "attachments"):
                (session.dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            command.link_editor(session.dir)
            for stale in (session.dir / "outbox").iterdir():
                stale.unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(f"{session.dir} cannot be written: {error}.") from error

    def _has_transcript(self) -> bool:
        session, record = self._session, self._session.record
        known = Path(record.transcript) if record.transcript else None
        if known is not None and known.stem == record.conversation_id and holds_conversation(known):
            return True
        home = session.house.claude_home
        guess = transcript_path(home, record.project_path, record.conversation_id)
        found = guess if guess.exists() else find_transcript(home, record.conversation_id)
        if found is None or not holds_conversation(found):
            return False
        record.transcript = str(found)
        return True

    def _conversation_lock(self) -> Path:
        home = self._session.house.claude_home / "pilotlight-locks"
        return home / f"{self._session.record.conversation_id}.lock"

    def _refuse_second_process(self) -> None:
        """A `claude` that somebody started by hand on this conversation keeps it."""
        session = self._session
        pid = leftovers.owner(session.house.claude_home, session.record.conversation_id)
        if pid is not None:
            raise StartFailed(
                f"Another `claude` (pid {pid}) has this conversation open. Close it there first.",
                code="conversation_in_use",
            )

    def _start_failed(self, error: PilotlightError) -> None:
        session = self._session
        session.receipts.conclude_cut_off(time.monotonic())
        if error.retryable or error.error_code in _PASSING:
            session.apply(Event.SLEPT, error.error_code, child=None, holder=None)
            return
        reason = "lost" if error.error_code == "transcript_missing" else "start_failed"
        self._end(error.error_code, reason, error.message, error)

    def _end(self, cause: str, reason: str, detail: str | None, error: PilotlightError | None) -> None:
        """The session has ended; what still waits in its queue fails with `error`, or is cancelled without one."""
        session = self._session
        body = None if error is None else error_body(error)
        with session.store.transaction():
            for message in session.store.open_messages(session.id):
                session.receipts.step(message, "failed" if body else "cancelled", error=body)
            session.record.options.pop("stop", None)
            session.apply(
                Event.ENDED,
                cause,
                end_reason=reason,
                end_detail=detail,
                ended_at=now_ms(),
                child=None,
                holder=None,
            )
        shutil.rmtree(session.house.paths.temporary_dir(session.id), ignore_errors=True)
        if reason == "killed":
            attachments.discard(session.dir)

    # -- connecting ------------------------------------------------------------------------------------------------

    async def _connect(self, socket: Path, patience: float = CONNECT_SECONDS) -> None:
        session = self._session
        generation = session.record.generation
        config = session.house.config().sessions
        terminal = Terminal(
            config.columns,
            config.rows,
            on_change=session.pulse.ring,
            on_exit=lambda exit_info: self._on_exit(generation, exit_info),
            on_lost=lambda: self._on_lost(generation),
        )
        try:
            await terminal.connect(socket, patience)
        except HolderTimeout:
            await terminal.close()
            self._unresponsive(socket)
            return
        except HolderError as error:
            await terminal.close()
            if error.code != "exited":  # `on_exit` has been told
                self._on_lost(generation)
            return
        session.terminal = terminal
        session.responsive = True
        session.relock = bool(session.record.conversations)
        if session.health == "unresponsive":
            session.health = "ok"
            session.store.append("responsive", session.id, {"holder": session.record.holder})
        session.pulse.ring()

    def follow_conversation(self) -> None:
        """The process has gone on to another conversation: its holder locks that one, and lets go of the one before."""
        self._session.relock = False
        self._spawn_task(self._relock)

    async def _relock(self) -> None:
        session = self._session
        if session.terminal is None:
            return
        try:
            await session.terminal.lock(self._conversation_lock())
        except HolderError as error:
            # An older holder cannot; then only the CLI's own status file keeps others away.
            if error.code == "locked":
                session.health = "conversation_shared"
                data = {"conversation": session.record.conversation_id}
                session.store.append("conversation_shared", session.id, data)
            elif error.code != "unknown_op":
                raise

    def unresponsive(self) -> None:
        """The holder does not answer: say so, let its connection go and try again for ever."""
        session = self._session
        terminal, session.terminal = session.terminal, None
        if terminal is not None and session.record.socket:
            self._spawn_task(terminal.close)
            self._unresponsive(Path(session.record.socket))

    def _unresponsive(self, socket: Path) -> None:
        session = self._session
        if session.health != "unresponsive":
            session.health = "unresponsive"
            session.store.append("unresponsive", session.id, {"holder": session.record.holder})
        session.responsive = False
        session.apply(Event.LOST_SIGHT, "holder_unresponsive")
        session.pulse.ring()
        generation = session.record.generation
        self._spawn_task(lambda: self._reconnect(generation, socket))

    async def _reconnect(self, generation: int, socket: Path) -> None:
        await asyncio.sleep(RECONNECT_SECONDS)
        session = self._session
        if session.terminal is None and session.live and session.record.generation == generation:
            await self._connect(socket)

    def _spawn_task(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do it beside everything else, and again until it is done: what it writes may be refused for a while."""
        task = asyncio.ensure_future(self._surely(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _surely(self, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await work()
                return
            except Exception:  # the boundary: a session whose process is gone must not stay as if it were there
                self._session.house.log.exception("lifecycle_retry", extra={"fields": {"session": self._session.id}})
            await asyncio.sleep(AGAIN_SECONDS)

    async def adopt(self) -> str:
        """At the supervisor's start: find out what became of the process. Return adopted, resumed, asleep or lost."""
        session, record = self._session, self._session.record
        if session.state in (State.HIBERNATED, State.ENDED):
            if record.failures and session.state is State.HIBERNATED:
                self._revive_after(self._pause())
            return "asleep"
        self._restore_current()
        info = self._info()
        stopping = session.state is State.STOPPING
        if info is not None and process.alive(info.id) and info.socket == record.socket:
            self._note_holder(info)
            session.session_started = record.ready_once
            if not stopping:
                session.store.append("adopted", session.id, {"pid": info.child.pid, "generation": record.generation})
            await self._connect(Path(info.socket), ADOPT_SECONDS)
            if stopping:
                self._spawn_task(self._finish_stop)
            return "adopted"
        if stopping:
            self._spawn_task(self._finish_stop)
            return "asleep"
        if info is None and record.holder and process.alive(ProcessId(*record.holder)) and record.socket:
            await self._connect(Path(record.socket), ADOPT_SECONDS)
            return "adopted"
        if record.child is None and (info is None or info.socket != record.socket):
            # The supervisor died between the decision to start and the start; whoever comes up meanwhile is taken over.
            session.apply(Event.SLEPT, "never_started")
            self._wake_by_itself("never_started")
            return "resumed"
        if info is not None:
            self._note_holder(info)
        await self._end_strays()
        await self._after_exit(record.generation, self._exit_on_disk(None) or Exit())
        return "lost" if session.record.state == State.ENDED else "resumed"

    def _restore_current(self) -> None:
        """The message under way, and nothing armed: who was typed, and who was handed over, is on disk."""
        session = self._session
        outbox = session.dir / "outbox"
        for pending in outbox.glob("*.pending"):
            pending.unlink(missing_ok=True)
        for message in session.store.open_messages(session.id):
            if message.state in ("typed", "submitted") or session.receipts.is_claimed(message):
                session.current = message
                return

    def _info(self) -> HolderInfo | None:
        try:
            return read_info(self._session.dir)
        except ValueError as error:
            self._session.quarantine(self._session.dir / holder_files.INFO, str(error))
            return None

    def _exit_on_disk(self, child: ProcessId | None) -> Exit | None:
        """How the last process, or exactly this one, ended as far as its holder could write it down."""
        with suppress(ValueError):
            found = read_exit(self._session.dir)
            if found is not None and (child is None or (found.child is not None and found.child.id == child)):
                return Exit(found.exit_status, found.signal)
        return None

    # -- ending ----------------------------------------------------------------------------------------------------

    def _on_exit(self, generation: int, exit_info: dict[str, Any]) -> None:
        end = Exit(exit_info.get("exit_status"), exit_info.get("signal"))
        self._spawn_task(lambda: self._after_exit(generation, end))

    def _on_lost(self, generation: int) -> None:
        self._spawn_task(lambda: self._after_lost(generation))

    async def _after_lost(self, generation: int) -> None:
        """The holder cannot be reached: it has ended, and its child with it, or it is only slow to answer."""
        session, record = self._session, self._session.record
        if record.generation != generation:
            return
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        holder = ProcessId(*record.holder) if record.holder else None
        child = ProcessId(*record.child) if record.child else None
        end = self._exit_on_disk(child)
        if holder is not None and process.alive(holder) and record.socket and end is None:
            self._unresponsive(Path(record.socket))
            return
        await self._end_strays()
        await self._after_exit(generation, self._exit_on_disk(child) or Exit())

    async def _end_strays(self) -> None:
        """End what is left of a process whose holder is gone: tasks in process sessions of their own, and `claude`
        itself if it has closed its terminal."""
        session = self._session
        info = self._info()
        if info is not None and process.alive(info.id):
            return

        def family() -> list[ProcessId]:
            found = set(strays.belonging(session.dir))
            known = [ProcessId(*session.record.child)] if session.record.child else []
            known += [info.child.id] if info is not None else []
            for child in known:
                if process.alive(child):
                    found |= {child, *process.descendants(child)}
            return list(found)

        for number, patience in LAST_RUNGS:
            left = family()
            end = time.monotonic() + patience
            for member in left:
                process.send_signal(member, number)
            while left and time.monotonic() < end:
                await asyncio.sleep(0.01)
                left = [member for member in left if process.alive(member)]
            if not left and not family():
                return

    async def _after_exit(self, generation: int, end: Exit) -> None:
        """The process is gone. Take in its last words, settle what was under way, and decide what follows."""
        session, record = self._session, self._session.record
        if record.generation != generation or not session.live:
            return
        last_words = self._last_words()
        session.logs.read()
        self._gone.set()
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        session.drop_permission()
        if record.child:
            leftovers.remove(session.house.claude_home, ProcessId(*record.child))
        if record.socket:
            Path(record.socket).unlink(missing_ok=True)  # a holder that was killed could not
        session.pulse.ring()
        if record.generation != generation or not session.live:
            return
        if session.state is State.STOPPING:
            if not self._one.locked():
                self._spawn_task(self._finish_stop)
            return
        await pause_point("exited")
        session.receipts.conclude_cut_off(time.monotonic())
        self._decide(end, last_words)

    def _last_words(self) -> str:
        """What is on the screen; for a process that was gone before anybody looked, what its ring has kept."""
        session = self._session
        said = dialogs.last_words(session.terminal.screen.lines()) if session.terminal is not None else ""
        if said:
            return said
        sizes = session.house.config().sessions
        screen = Screen(sizes.columns, sizes.rows)
        try:
            screen.feed(read_tail(str(session.dir / holder_files.RING), LAST_WORDS_BYTES).data)
            return dialogs.last_words(screen.lines())
        except (OSError, ValueError):
            return ""
        finally:
            screen.close()

    def _decide(self, end: Exit, last_words: str) -> None:
        session, record = self._session, self._session.record
        if (words := self._declined(end)) is not None:
            self._end("declined", "exited", words, Conflict(words, code="dialog_declined"))
            return
        life = aftermath.Life(
            ready_once=record.ready_once,
            worked_before=record.failures > 0 or self._has_transcript(),
            deaths=record.failures,
            said_goodbye=record.options.get("last_end"),
        )
        health = session.house.config().health
        verdict = aftermath.judge(end, life, health.restart_limit)
        if verdict == "exited":
            over = Conflict("The session was ended at its terminal. Reopen it to go on.", code="session_ended")
            self._end("exited", "exited", None, over)
            return
        if verdict == "start_failed":
            self._start_failed(StartFailed(aftermath.why_no_start(end, last_words), code="claude_exited"))
            return
        deaths = record.failures + 1
        data = {"exit": end.words, "failures": deaths, "generation": record.generation, "then": verdict}
        with session.store.transaction():
            session.store.append("crashed", session.id, data)
            if verdict == "give_up":
                over_words = f"`claude` kept ending ({end.words}), {deaths} times in a row."
                self._end("crashed", "crashed", over_words, StartFailed(over_words, code="claude_crashed"))
            else:
                session.apply(Event.SLEPT, "crashed", failures=deaths, child=None, holder=None)
        if verdict == "revive":
            self._revive_after(self._pause())

    def _declined(self, end: Exit) -> str | None:
        """That the process ended because of the answer to a dialog of its start, in words; None when it was not so."""
        session = self._session
        if session.last_answer is None or session.record.ready_once or end.signal is not None:
            return None
        generation, title, label = session.last_answer
        if generation != session.record.generation:
            return None
        return f"`claude` ended when {title!r} was answered with {label!r}. Reopen the session to be asked again."

    def _pause(self) -> float:
        return aftermath.pause(self._session.record.failures, self._session.house.config().health.restart_seconds)

    def _revive_after(self, pause: float) -> None:
        self._rest_until = time.monotonic() + pause
        self._wake_by_itself("crashed", pause)

    def _wake_by_itself(self, cause: str, pause: float = 0.0) -> None:
        async def wake() -> None:
            await asyncio.sleep(pause)
            if self._session.state is State.HIBERNATED:
                try:
                    await self.start(cause)
                except PilotlightError as error:
                    fields = {"session": self._session.id, "why": error.error_code}
                    self._session.house.log.warning("revive_failed", extra={"fields": fields})
            self._wake_sender()

        self._spawn_task(wake)

    async def stop(self, reason: str, cause: str) -> None:
        """End the process and its whole tree, and the session with `reason`. Returns when nothing is left."""
        async with self._one:
            if self._session.state is State.ENDED:
                return
            await self._stop_process({"to": State.ENDED, "reason": reason, "cause": cause})

    async def hibernate(self, cause: str) -> None:
        """End the process and keep the conversation. Raise Conflict unless the session is idle and at rest."""
        async with self._one:
            if self._session.state is State.HIBERNATED:
                return
            self.check_restful()
            await self._await_flush()
            self.check_restful()
            await self._stop_process({"to": State.HIBERNATED, "cause": cause})
        self._wake_sender()

    def check_restful(self) -> None:
        """Raise Conflict with the reason why this session may not be put to sleep now."""
        session = self._session
        reasons = {
            "it is " + session.state: session.state is not State.IDLE,
            "a message is under way": session.current is not None,
            "background tasks run": bool(session.record.background),
            "somebody is attached": session.attached > 0,
            "a draft is in its prompt box": session.sight().kind == "draft",
            "its transcript does not exist yet": session.record.message_count > 0 and not self._has_transcript(),
        }
        for reason, holds in reasons.items():
            if holds:
                raise Conflict(f"The session cannot hibernate now: {reason}.", code="not_restful")

    async def _await_flush(self) -> None:
        """The transcript lags the Stop hook; wait until it has said that the turn is over, or is quiet."""
        session = self._session
        end = time.monotonic() + FLUSH_SECONDS
        while time.monotonic() < end and time.monotonic() - session.progress_at < 0.25:
            await asyncio.sleep(0.05)
            session.logs.read()

    async def recycle(self, cause: str) -> None:
        """A new process for the same conversation, between turns."""
        await self.hibernate(cause)
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
                await self._stop_process({"to": State.HIBERNATED, "cause": cause})

    async def _stop_process(self, intent: dict[str, Any]) -> None:
        """End the tree and do what was intended with the session; what is begun here is finished, whatever happens."""
        session = self._session
        try:
            if session.live:
                session.record.options["stop"] = intent
                session.apply(Event.STOP, intent["cause"], options=session.record.options)
                await pause_point("stopping")
                await self._end_tree()
            self._stopped(intent)
        except BaseException:
            if session.state is State.STOPPING:
                self._spawn_task(self._finish_stop)
            raise

    async def _finish_stop(self) -> None:
        """Go on with a stop that was begun by a supervisor that died, or that failed."""
        async with self._one:
            session = self._session
            if session.state is State.STOPPING:
                await self._end_tree()
                self._stopped(session.record.options.get("stop") or {"to": State.HIBERNATED, "cause": "stopped"})
        self._wake_sender()

    def _stopped(self, intent: dict[str, Any]) -> None:
        session = self._session
        session.receipts.conclude_cut_off(time.monotonic())
        if intent["to"] == State.ENDED:
            self._end(intent["cause"], intent["reason"], None, None)
        else:
            session.record.options.pop("stop", None)
            session.apply(Event.SLEPT, intent["cause"], child=None, holder=None, failures=0)

    async def _end_tree(self) -> None:
        session, record = self._session, self._session.record
        info = self._info()
        if not record.child and info is not None and info.socket == record.socket and process.alive(info.id):
            self._note_holder(info)
            await self._connect(Path(info.socket))
        child = ProcessId(*record.child) if record.child else None
        holder = ProcessId(*record.holder) if record.holder else None
        if session.terminal is not None:
            self._gone.clear()
            answers = True
            try:
                await session.terminal.stop(STOP_GRACE_SECONDS)
            except HolderTimeout:
                answers = False
            except HolderError:
                pass  # it has ended: `_gone` says when that is dealt with
            if answers and session.terminal is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gone.wait(), STOP_SECONDS)
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        session.logs.read()
        exited = child is None or not process.alive(child)
        if holder is not None and not exited:
            process.send_signal(holder, 9)  # it does not answer; what it held is ended from here
            end = time.monotonic() + AGAIN_SECONDS
            while process.alive(holder) and time.monotonic() < end:
                await asyncio.sleep(0.005)
        await self._end_strays()
        if record.socket:
            Path(record.socket).unlink(missing_ok=True)
        if child is not None:
            if process.alive(child):
                raise Unavailable("The session's process cannot be ended.", code="unkillable")
            leftovers.remove(session.house.claude_home, child)

    def reopen(self) -> None:
        """Make an ended session one that sleeps, to be woken by its next message. Raise Conflict when it is open."""
        session = self._session
        if session.state is not State.ENDED:
            raise Conflict("The session is open.", code="session_open")
        session.touch()
        session.apply(
            Event.SPAWN,
            "reopened",
            end_reason=None,
            end_detail=None,
            ended_at=None,
            failures=0,
            child=None,
            holder=None,
        )
        session.apply(Event.SLEPT, "reopened")

    def tend_trust(self) -> None:
        """Answer the folder-trust dialog, and only that, when the session was created with `trust`."""
        session = self._session
        if self._trusted or not session.record.trust or session.terminal is None or session.record.ready_once:
            return
        menu = session.sight().menu
        choice = dialogs.trust_choice(menu) if menu is not None else None
        if menu is None or choice is None:
            return
        self._trusted = True
        self._spawn_task(lambda: self._answer_trust(menu.identity, choice.id))

    async def _answer_trust(self, identity: str, choice: str) -> None:
        session = self._session
        try:
            await choose(session, identity, choice)
        except (PilotlightError, HolderError) as error:
            session.trust_failures += 1
            self._trusted = session.trust_failures >= TRUST_TRIES
            session.house.log.warning(
                "trust_not_answered", extra={"fields": {"session": session.id, "why": str(error)}}
            )


def error_body(error: PilotlightError) -> dict[str, Any]:
    """An error as it is stored with a message."""
    return {
        "code": error.error_code,
        "message": error.message,
        "status": error.status,
        "retryable": error.retryable,
        "data": error.data,
    }
