"""Starting, adopting, ending and reviving the process of one session.

Start, restart, upgrade and crash recovery are one path: what the files of the session's directory say is compared with
what lives, and the difference is made good. Invariants: one start or stop at a time; a process is only ever started
under the lock of its conversation, so two never write one transcript; a message under way is settled or put back before
the process that carried it is replaced.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared import process
from shared.errors import Conflict, PilotlightError, StartFailed, StorageFailed, Unavailable
from supervisor.answers import choose
from supervisor.claude import command, dialogs
from supervisor.claude.journal import find_transcript, transcript_path
from supervisor.holder_client import HolderError, HolderTimeout, SpawnSpec, launch, read_exit, read_info
from supervisor.session import Session
from supervisor.states import Event, State
from supervisor.store import now_ms
from supervisor.terminal import Terminal

RING_BYTES = 1 << 20
LAUNCH_SECONDS = 10.0
STOP_GRACE_SECONDS = 2.0
STOP_SECONDS = 15.0
FLUSH_SECONDS = 1.0
MAX_FAILURES = 6
"""After this many starts in a row that did not get to a prompt, the session ends as `crashed`."""

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 60.0
RECONNECT_SECONDS = 1.0

_START_ERRORS = {
    "not_found": "claude_not_found",
    "not_executable": "claude_not_executable",
    "bad_cwd": "project_path_missing",
    "locked": "conversation_in_use",
}


def backoff(failures: int, dice: Callable[[], float] = random.random) -> float:
    """Seconds to wait before the next start after `failures` failed ones: 1, 2, 4 ... 60, with up to 20 % jitter."""
    base = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** max(0, failures - 1))
    return float(base * (1.0 + 0.2 * dice()))


class Lifecycle:
    """The process of one session. `admit` waits for a place among the live ones or raises Busy."""

    def __init__(self, session: Session, admit: Callable[[Session], Awaitable[None]], wake: Callable[[], None]) -> None:
        self._session = session
        self._admit = admit
        self._wake_sender = wake
        self._one = asyncio.Lock()
        self._gone = asyncio.Event()
        self._exit: dict[str, Any] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._trusted = False

    # -- starting --------------------------------------------------------------------------------------------------

    async def ensure_process(self) -> None:
        """Return with a live process, starting or waking one if need be. Raise StartFailed, Busy or Conflict."""
        session = self._session
        while session.terminal is None:
            if session.state is State.ENDED:
                raise Conflict(
                    f"The session has ended ({session.record.end_reason}). Reopen it to go on.", code="session_ended"
                )
            if session.state is State.HIBERNATED or (session.state is State.STARTING and not session.record.child):
                await self.start("message")
            else:
                await session.pulse.until(lambda: session.terminal is not None or not session.live, 5.0)

    async def start(self, cause: str) -> None:
        """Spawn a holder and its `claude`. Raise StartFailed with the cause; the session has then ended."""
        async with self._one:
            if self._session.terminal is not None:
                return
            await self._admit(self._session)
            try:
                await self._spawn(cause)
            except StartFailed as error:
                self._start_failed(error)
                raise

    async def _spawn(self, cause: str) -> None:
        session, record, house = self._session, self._session.record, self._session.house
        if not Path(record.project_path).is_dir():
            raise StartFailed(f"The project folder {record.project_path} is gone.", code="project_path_missing")
        self._make_directories()
        resume = self._has_transcript()
        options = record.options
        start = command.launch(
            config=house.config().claude,
            own=house.environment,
            session_dir=session.dir,
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
        self._refuse_second_process()
        record.generation += 1
        record.child = record.holder = None
        record.ready_once = False
        record.turn_prompt = None
        record.background = []
        session.session_started = False
        session.status = None
        session.health = "ok"
        self._gone.clear()
        self._exit = None
        self._trusted = False
        socket = house.paths.holder_socket(record.id, record.generation)
        record.socket = str(socket)
        session.apply(Event.SPAWN, cause, generation=record.generation)
        spec = SpawnSpec(
            argv=start.argv,
            env=start.env,
            cwd=start.cwd,
            cols=house.config().sessions.columns,
            rows=house.config().sessions.rows,
            ring_bytes=RING_BYTES,
            socket=str(socket),
            locks=[str(self._conversation_lock())],
        )
        try:
            info = await launch(session.dir, spec, LAUNCH_SECONDS)
        except HolderTimeout as error:
            raise StartFailed(f"The session's holder did not start: {error}", code="holder_timeout") from error
        except HolderError as error:
            code = _START_ERRORS.get(error.code, "start_failed")
            raise StartFailed(f"`claude` could not be started: {error.message}", code=code) from error
        except OSError as error:
            raise StorageFailed(f"The session's files cannot be written: {error}.") from error
        record.holder = [info.pid, info.start_time]
        record.child = [info.child.pid, info.child.start_time]
        session.store.save_session(record)
        house.log.info(
            "session_started",
            extra={"fields": {"session": record.id, "pid": info.child.pid, "resume": resume, "cause": cause}},
        )
        await self._connect(socket)

    def _make_directories(self) -> None:
        session = self._session
        try:
            for name in ("", "spool", "outbox", "attachments"):
                (session.dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            for stale in (session.dir / "outbox").iterdir():
                stale.unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(f"{session.dir} cannot be written: {error}.") from error

    def _has_transcript(self) -> bool:
        session, record = self._session, self._session.record
        known = Path(record.transcript) if record.transcript else None
        if known is not None and known.exists() and known.stem == record.conversation_id:
            return True
        home = session.house.claude_home
        guess = transcript_path(home, record.project_path, record.conversation_id)
        found = guess if guess.exists() else find_transcript(home, record.conversation_id)
        if found is None:
            return False
        record.transcript = str(found)
        return True

    def _conversation_lock(self) -> Path:
        home = self._session.house.claude_home / "pilotlight-locks"
        return home / f"{self._session.record.conversation_id}.lock"

    def _refuse_second_process(self) -> None:
        """A `claude` that somebody started by hand on this conversation keeps it."""
        session = self._session
        folder = session.house.claude_home / "sessions"
        with suppress(OSError):
            for file in folder.glob("*.json"):
                if not file.stem.isdigit():
                    continue
                status = _read_session_id(file)
                if status == session.record.conversation_id and process.identify(int(file.stem)) is not None:
                    raise StartFailed(
                        f"Another `claude` (pid {file.stem}) has this conversation open. Close it there first.",
                        code="conversation_in_use",
                    )

    def _start_failed(self, error: PilotlightError) -> None:
        session = self._session
        keep = session.record.ready_once or self._has_transcript()
        session.conclude_cut_off(time.monotonic())
        if error.retryable or (keep and error.error_code == "conversation_in_use"):
            session.apply(Event.SLEPT, error.error_code, child=None, holder=None)
            return
        session.apply(
            Event.ENDED,
            "start_failed",
            end_reason="start_failed",
            end_detail=error.message,
            ended_at=now_ms(),
            child=None,
            holder=None,
        )
        self._fail_queue(error)

    def _fail_queue(self, error: PilotlightError) -> None:
        session = self._session
        body = {
            "code": error.error_code,
            "message": error.message,
            "status": error.status,
            "retryable": error.retryable,
            "data": error.data,
        }
        for message in session.store.open_messages(session.id):
            session.step(message, "failed", error=body)

    # -- connecting ------------------------------------------------------------------------------------------------

    async def _connect(self, socket: Path) -> None:
        session = self._session
        info = None
        with suppress(ValueError):
            info = read_info(session.dir)
        config = session.house.config().sessions
        terminal = Terminal(
            config.columns,
            config.rows,
            on_change=session.pulse.ring,
            on_exit=self._on_exit,
            on_lost=self._on_lost,
        )
        try:
            await terminal.connect(socket)
        except HolderTimeout:
            await terminal.close()
            self._unresponsive(socket)
            return
        except HolderError:
            await terminal.close()
            if info is not None and process.alive(info.id):
                self._unresponsive(socket)
            else:
                self._on_lost()
            return
        session.terminal = terminal
        session.responsive = True
        if session.health == "unresponsive":
            session.health = "ok"
        session.pulse.ring()

    def unresponsive(self) -> None:
        """The holder does not answer: say so, let its connection go and try again for ever."""
        session = self._session
        terminal, session.terminal = session.terminal, None
        if terminal is not None and session.record.socket:
            self._spawn_task(terminal.close())
            self._unresponsive(Path(session.record.socket))

    def _unresponsive(self, socket: Path) -> None:
        session = self._session
        if session.health != "unresponsive":
            session.health = "unresponsive"
            session.store.append("unresponsive", session.id, {"holder": session.record.holder})
        session.responsive = False
        session.apply(Event.LOST_SIGHT, "holder_unresponsive")
        self._spawn_task(self._reconnect(socket))

    async def _reconnect(self, socket: Path) -> None:
        await asyncio.sleep(RECONNECT_SECONDS)
        if self._session.terminal is None and self._session.live:
            await self._connect(socket)

    def _spawn_task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def adopt(self) -> str:
        """At the supervisor's start: find out what became of the process. Return adopted, resumed, asleep or lost."""
        session, record = self._session, self._session.record
        if session.state in (State.HIBERNATED, State.ENDED):
            return "asleep"
        info = None
        with suppress(ValueError):
            info = read_info(session.dir)
        self._restore_current()
        if info is not None and process.alive(info.id) and info.socket == record.socket:
            record.holder = [info.pid, info.start_time]
            record.child = [info.child.pid, info.child.start_time]
            session.session_started = record.ready_once
            session.store.save_session(record)
            await self._connect(Path(info.socket))
            session.store.append("adopted", session.id, {"pid": info.child.pid, "generation": record.generation})
            return "adopted"
        if record.generation == 0 or (record.child is None and info is None):
            record.child = None
            session.apply(Event.SLEPT, "never_started")
            return "asleep"
        await self._after_exit(self._exit_on_disk())
        return "lost" if session.record.state == State.ENDED else "resumed"

    def _restore_current(self) -> None:
        session = self._session
        for message in session.store.open_messages(session.id):
            if message.state in ("typed", "submitted"):
                session.current = message
                return

    def _exit_on_disk(self) -> dict[str, Any]:
        with suppress(ValueError):
            found = read_exit(self._session.dir)
            if found is not None:
                return {"exit_status": found.exit_status, "signal": found.signal, "error": found.error}
        return {"exit_status": None, "signal": None, "error": None, "lost": True}

    # -- ending ----------------------------------------------------------------------------------------------------

    def _on_exit(self, exit_info: dict[str, Any]) -> None:
        self._spawn_task(self._after_exit(exit_info))

    def _on_lost(self) -> None:
        self._spawn_task(self._after_lost())

    async def _after_lost(self) -> None:
        """The holder cannot be reached: it has ended, and its child with it, or it is only slow to answer."""
        session, record = self._session, self._session.record
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        holder = process.ProcessId(*record.holder) if record.holder else None
        if holder is not None and process.alive(holder) and record.socket:
            await self._connect(Path(record.socket))
            return
        await self._finish_child()
        await self._after_exit(self._exit_on_disk())

    async def _finish_child(self) -> None:
        """A child whose holder is gone has lost its terminal and ends by itself; make sure of it, tree and all."""
        record = self._session.record
        if not record.child:
            return
        child = process.ProcessId(*record.child)
        family = [child, *process.descendants(child)] if process.alive(child) else []
        for number, patience in ((1, 1.0), (15, 2.0), (9, 2.0)):
            family = [member for member in family if process.alive(member)]
            if not family:
                return
            for member in family:
                process.send_signal(member, number)
            end = time.monotonic() + patience
            while time.monotonic() < end and any(process.alive(member) for member in family):
                await asyncio.sleep(0.02)

    async def _after_exit(self, exit_info: dict[str, Any]) -> None:
        """The process is gone. Take in its last words, settle what was under way, and decide what follows."""
        session, record = self._session, self._session.record
        last_words = session.terminal.screen.text().strip() if session.terminal is not None else ""
        session.read_logs()
        await asyncio.sleep(0.05)
        session.read_logs()
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        session.drop_permission()
        self._exit = exit_info
        self._gone.set()
        session.pulse.ring()
        if session.state in (State.STOPPING, State.ENDED, State.HIBERNATED):
            return
        session.conclude_cut_off(time.monotonic())
        record.child = record.holder = None
        ended_by_itself = exit_info.get("exit_status") == 0 and record.ready_once
        if ended_by_itself and record.options.get("last_end") in ("prompt_input_exit", "logout", "exit"):
            session.apply(Event.ENDED, "exited", end_reason="exited", end_detail=None, ended_at=now_ms())
            self._fail_queue(
                Conflict("The session was ended at its terminal. Reopen it to go on.", code="session_ended")
            )
            return
        if not record.ready_once and record.failures == 0 and not self._has_transcript():
            self._start_failed(StartFailed(_why_no_start(exit_info, last_words), code="claude_exited"))
            return
        record.failures += 1
        detail = _exit_words(exit_info)
        session.store.append(
            "crashed", session.id, {"exit": detail, "failures": record.failures, "generation": record.generation}
        )
        if record.failures >= MAX_FAILURES:
            session.apply(Event.ENDED, "crashed", end_reason="crashed", end_detail=detail, ended_at=now_ms())
            self._fail_queue(StartFailed(f"`claude` kept ending ({detail}).", code="claude_crashed"))
            return
        session.apply(Event.SLEPT, "crashed")
        self._spawn_task(self._revive(backoff(record.failures) if record.failures > 1 else 0.0))

    async def _revive(self, delay: float) -> None:
        await asyncio.sleep(delay)
        session = self._session
        if session.state is State.HIBERNATED:
            try:
                await self.start("crashed")
            except PilotlightError as error:
                session.house.log.warning("revive_failed", extra={"fields": {"session": session.id, "why": str(error)}})
            self._wake_sender()

    async def stop(self, reason: str, cause: str) -> None:
        """End the process and its whole tree, and the session with `reason`. Returns when nothing is left."""
        async with self._one:
            session = self._session
            if session.state is State.ENDED:
                return
            await self._stop_process(cause)
            session.conclude_cut_off(time.monotonic())
            for message in session.store.open_messages(session.id):
                session.step(message, "cancelled")
            session.apply(
                Event.ENDED, cause, end_reason=reason, end_detail=None, ended_at=now_ms(), child=None, holder=None
            )

    async def hibernate(self, cause: str) -> None:
        """End the process and keep the conversation. Raise Conflict unless the session is idle and at rest."""
        async with self._one:
            session = self._session
            if session.state is State.HIBERNATED:
                return
            self.check_restful()
            await self._await_flush()
            self.check_restful()
            await self._stop_process(cause)
            session.apply(Event.SLEPT, cause, child=None, holder=None)
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
            session.read_logs()

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
            session = self._session
            if not session.live:
                return
            await self._stop_process(cause)
            session.conclude_cut_off(time.monotonic())
            session.apply(Event.SLEPT, cause, child=None, holder=None)

    async def _stop_process(self, cause: str) -> None:
        session = self._session
        if session.terminal is None and not session.record.child:
            return
        session.apply(Event.STOP, cause)
        self._gone_or_set()
        if session.terminal is not None:
            try:
                await session.terminal.stop(STOP_GRACE_SECONDS)
            except (HolderError, HolderTimeout):
                pass
            try:
                await asyncio.wait_for(self._gone.wait(), STOP_SECONDS)
            except TimeoutError:
                pass
        await self._finish_child()
        holder = session.record.holder
        if holder is not None and process.alive(process.ProcessId(*holder)):
            process.send_signal(process.ProcessId(*holder), 9)
        terminal, session.terminal = session.terminal, None
        if terminal is not None:
            await terminal.close()
        if session.record.socket:
            Path(session.record.socket).unlink(missing_ok=True)
        if session.record.child and process.alive(process.ProcessId(*session.record.child)):
            raise Unavailable("The session's process cannot be ended.", code="unkillable")

    def _gone_or_set(self) -> None:
        if self._exit is not None:
            self._gone.set()

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
        self._spawn_task(self._answer_trust(menu.identity, choice.id))

    async def _answer_trust(self, identity: str, choice: str) -> None:
        session = self._session
        try:
            await choose(session, identity, choice)
        except PilotlightError as error:
            self._trusted = False
            session.house.log.warning(
                "trust_not_answered", extra={"fields": {"session": session.id, "why": str(error)}}
            )


def _read_session_id(file: Path) -> str | None:
    import msgspec

    try:
        raw = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return raw.get("sessionId") if isinstance(raw, dict) else None


def _exit_words(exit_info: dict[str, Any]) -> str:
    if exit_info.get("signal"):
        return f"killed by signal {exit_info['signal']}"
    if exit_info.get("exit_status") is not None:
        return f"exit status {exit_info['exit_status']}"
    return "its holder vanished"


def _why_no_start(exit_info: dict[str, Any], last_words: str) -> str:
    said = " ".join(last_words.split())[-400:]
    words = f"`claude` ended at once ({_exit_words(exit_info)})"
    return f"{words}: {said}" if said else f"{words} and said nothing. Run it by hand in the project folder."


def is_locked(path: Path) -> bool:
    """Whether some process holds the flock of this file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
