"""Which sessions exist, which of them have a process, and who gets the next place.

The pool creates, finds and lists sessions, admits starts (at most `sessions.max_concurrent` live processes; the least
recently used idle session hibernates to make room), throttles them so that a restart is no stampede, and polls the live
ones: often while something is going on, seldom otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.errors import Busy, Conflict, InvalidRequest, NotFound, PilotlightError, StorageFailed
from shared.messages import CreateSession, MessageKind, SendMessage, Sent
from supervisor import attachments, clock, renewal, resources
from supervisor.claude import leftovers, prompts
from supervisor.claude.journal import find_transcript, transcript_path
from supervisor.conversations import project_of
from supervisor.household import Household
from supervisor.session import House, Session
from supervisor.states import State
from supervisor.store import MessageRecord, SessionRecord, now_ms

STARTS_AT_ONCE = 2
HURRY_SECONDS = 0.005
CALM_SECONDS = 0.1
REST_SECONDS = 0.5
"""How often to look while every session is idle or waits, and has been quiet for a while. Output of a terminal
wakes the pool at once, and whatever Claude does shows there first (measured: 1.1 to 0.7 % of a core for 105 sessions)."""

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

STORAGE_SECONDS = 1.0
"""How often sessions are looked at while the database refuses what they have to say."""


class Pool:
    """All sessions that are not ended, and a few that are."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.store = house.store
        self._households: dict[str, Household] = {}
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self._reserved: set[str] = set()
        self._waiters: dict[str, float] = {}
        self._closing = False
        self._hurry = asyncio.Event()
        self._unadopted: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.log: logging.Logger = house.log
        self.cpu_percent = 0.0

    # -- finding ---------------------------------------------------------------------------------------------------

    def household(self, session_id: str) -> Household:
        """The session with its actors; ended ones are brought back from the store. Raise NotFound."""
        known = self._households.get(session_id)
        if known is not None:
            return known
        record = self.store.session(session_id)
        if record is None:
            raise NotFound(
                f"Session {session_id} not found. `GET /api/sessions?includeEnded=true` lists all.",
                code="session_not_found",
            )
        return self._admit_record(record)

    def _admit_record(self, record: SessionRecord) -> Household:
        household = Household(Session(record, self.house), self)
        self._households[record.id] = household
        return household

    def sessions(self) -> list[Session]:
        """Everything in memory."""
        return [household.session for household in self._households.values()]

    def households(self) -> list[Household]:
        """Everything in memory, with its actors."""
        return list(self._households.values())

    def live(self) -> list[Session]:
        """Those that have a process, or are getting one."""
        return [session for session in self.sessions() if session.live]

    # -- creating --------------------------------------------------------------------------------------------------

    def create(self, request: CreateSession) -> Household:
        """A new session, still without a process. Raise InvalidRequest when the project is no directory."""
        project = Path(request.project_path).expanduser()
        if not project.is_absolute():
            raise InvalidRequest(
                f"projectPath must be an absolute path, not {request.project_path!r}.", code="invalid_project_path"
            )
        try:
            if not project.exists():
                raise InvalidRequest(
                    f"projectPath {project} does not exist. Create the folder first.", code="invalid_project_path"
                )
            if not project.is_dir():
                raise InvalidRequest(f"projectPath {project} is not a directory.", code="invalid_project_path")
            project = project.resolve()
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"projectPath cannot be used: {error}.", code="invalid_project_path") from error
        self._check_place()
        identity = str(uuid.uuid4())
        origin = self._origin(request, project, identity)
        now = now_ms()
        checked = renewal.options({name: getattr(request, name) for name in renewal.NAMES})
        options = {name: value for name, value in checked.items() if value is not None}
        config = self.house.config().sessions
        record = SessionRecord(
            id=identity,
            project_path=str(project),
            created_at=now,
            last_activity=now,
            state=State.HIBERNATED,
            conversation_id=request.resume if origin is not None and not request.fork and request.resume else identity,
            transcript=str(origin) if origin is not None else None,
            fork_from=request.resume if request.fork else None,
            title=request.title,
            options=options,
            activity_clock=clock.now(),
            activity_boot=clock.BOOT,
            trust=request.trust or self.house.demo,
            auto_keep_alive=config.auto_keep_alive if request.auto_keep_alive is None else request.auto_keep_alive,
        )
        with self.store.transaction(durable=True):
            self.store.save_session(record)
            if origin is not None and not request.fork:  # what was said before is nobody's answer
                self.store.set_position(identity, f"transcript:{origin.name}", origin.stat().st_size)
            data = {"projectPath": record.project_path}
            self.store.append("created", identity, data | ({"from": request.resume} if request.resume else {}))
        household = self._admit_record(record)
        household.begin()
        return household

    def _origin(self, request: CreateSession, project: Path, identity: str) -> Path | None:
        """The transcript of a session that goes on from an existing conversation: that one's, or the fork's own.

        Raise NotFound, InvalidRequest for another project than the conversation's, Conflict when it is open anywhere.
        """
        if request.resume is None:
            if request.fork:
                raise InvalidRequest("`fork` needs a conversation in `resume`.", code="resume_required")
            return None
        home = self.house.claude_home
        path = find_transcript(home, request.resume)
        if path is None:
            raise NotFound(
                f"There is no conversation {request.resume[:80]!r} on this machine. `GET /api/conversations` lists them.",
                code="conversation_not_found",
            )
        held_in = project_of(path)
        if held_in is not None and Path(held_in).resolve() != project:
            raise InvalidRequest(
                f"The conversation was held in {held_in}: give that as projectPath.", code="invalid_project_path"
            )
        if request.fork:
            return transcript_path(home, str(project), identity)
        for record in self.store.sessions(include_ended=True):
            if record.conversation_id == request.resume:
                what = "Reopen it" if record.state == State.ENDED else "Send to it"
                raise Conflict(
                    f"Session {record.id} has this conversation. {what}, or fork it.",
                    code="conversation_known",
                    data={"sessionId": record.id},
                )
        pid = leftovers.owner(home, request.resume)
        if pid is not None:
            raise Conflict(
                f"Another `claude` (pid {pid}) has this conversation open. Close it there first, or fork it.",
                code="conversation_in_use",
            )
        return path

    def _check_place(self) -> None:
        total = self.house.config().limits.memory_total_gb * 1024**3
        if self.memory > total and self.sleepiest() is None:
            raise self._no_memory(RETRY_AFTER_SECONDS)
        limit = self.house.config().sessions.max_concurrent
        live = self.live()
        if len(live) >= limit and self.sleepiest() is None:
            raise Busy(
                f"All {limit} places are taken by sessions that are busy. Wait, end one, or raise "
                "sessions.max_concurrent.",
                code="too_many_sessions",
                data={"retryAfter": RETRY_AFTER_SECONDS},
            )

    # -- sending ---------------------------------------------------------------------------------------------------

    async def accept(self, request: SendMessage) -> tuple[Household, MessageRecord, bool]:
        """`send`, with the files of the message on disk before it is accepted."""
        if not request.attachments or (request.key and self.store.message_by_key(request.key) is not None):
            return self.send(request)
        staged = await asyncio.to_thread(attachments.stage, self.house.paths.home, request.attachments)
        try:
            return self.send(request, staged=staged)
        finally:
            staged.discard()

    def send(
        self,
        request: SendMessage,
        prompt_prefix: str = "",
        kind: MessageKind = "prompt",
        staged: attachments.Staged | None = None,
    ) -> tuple[Household, MessageRecord, bool]:
        """Accept a message: in the database and synced before this returns. Return also whether it was a repeat."""
        if request.key:
            known = self.store.message_by_key(request.key)
            if known is not None:
                return self.household(known.session_id), known, True
        prompt = prompts.check_prompt(prompt_prefix + request.text) if kind == "prompt" else request.text
        if request.session_id:
            household = self.household(request.session_id)
            if household.session.state is State.ENDED:
                reason = household.session.record.end_reason
                raise Conflict(
                    f"The session has ended ({reason}). `POST /api/sessions/{request.session_id}/reopen` brings it back.",
                    code="session_ended",
                )
        else:
            project = request.project_path or self._default_project()
            household = self.create(
                CreateSession(
                    project_path=project,
                    title=request.title,
                    trust=request.trust,
                    permission_mode=request.permission_mode,
                    model=request.model,
                )
            )
        session = household.session
        if self.store.count_open(session.id) >= self.house.config().sessions.max_queue:
            raise Busy("The session's queue is full.", code="queue_full", data={"retryAfter": RETRY_AFTER_SECONDS})
        record = self._accept(session, request, prompt, kind, staged)
        household.begin()
        self.hurry()
        return household, record, False

    def _accept(
        self,
        session: Session,
        request: SendMessage,
        prompt: str,
        kind: MessageKind,
        staged: attachments.Staged | None,
    ) -> MessageRecord:
        now = now_ms()
        record = MessageRecord(
            id=f"m_{uuid.uuid4().hex}",
            session_id=session.id,
            state="queued",
            rank=0.0,
            text=request.text,
            prompt=prompt,
            created_at=now,
            request_key=request.key,
            steps={"accepted": now, "queued": now},
            kind=kind,
        )
        if request.front or request.interrupt:
            # Never 0, which asks the store for a place at the end.
            record.rank = min([0.0, *(m.rank for m in self.store.open_messages(session.id))]) - 1.0
        if staged is not None:
            folder = staged.move(session.dir, record.id)
            record.attachments = [file.view(folder) for file in staged.files]
            record.prompt += attachments.suffix(folder, staged.files)
        with self.store.transaction(durable=True):
            self.store.add_message(record)
            session.record.message_count += 1
            session.touch()
            self.store.save_session(session.record)
            for state in ("accepted", "queued"):
                self.store.append("message", session.id, {"message": record.id, "state": state, "at": now})
        return record

    def _default_project(self) -> str:
        configured = self.house.config().sessions.project_path
        if configured:
            return configured
        workspace = self.house.paths.home / "workspace"
        workspace.mkdir(mode=0o700, exist_ok=True)
        return str(workspace)

    def sent(self, household: Household, message_id: str, duplicate: bool = False) -> Sent:
        """The present receipt of a message with its session."""
        record = self.store.message(message_id)
        assert record is not None
        return Sent(
            message=record.view(self.queue_position(record)), session=household.session.view(), duplicate=duplicate
        )

    def queue_position(self, record: MessageRecord) -> int | None:
        """0 for the message under way, then 1, 2 ...; None once it is settled."""
        if record.state not in ("accepted", "queued", "typed", "submitted"):
            return None
        for position, other in enumerate(self.store.open_messages(record.session_id)):
            if other.id == record.id:
                return position
        return None

    # -- places ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def admit(self, session: Session) -> AsyncIterator[None]:
        """Wait for this session's turn to start and a place for it, which is kept while the start lasts. Raise Busy when
        every place is taken by work."""
        if self._closing:
            raise Busy("pilotlight is shutting down.", code="shutting_down", data={"retryAfter": RETRY_AFTER_SECONDS})
        asked = time.monotonic()
        await self._starting.acquire()
        try:
            await self._make_room(session, asked)
            self._waiters.pop(session.id, None)
            self.forget_rest("room_needed")  # who still waits asks again
            self._reserved.add(session.id)
            household = self._households.get(session.id)
            if household is not None:
                household.up_since, household.rest_due = time.monotonic(), None
                household.counted = self._expected(session)
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
            await session.pulse.until(lambda: session.state is not State.STARTING, STARTUP_SECONDS)
        finally:
            self._starting.release()

    async def _make_room(self, session: Session, asked: float) -> None:
        await self._await_resources(session, asked)
        limit = self.house.config().sessions.max_concurrent
        while len([other for other in self.sessions() if self._has_place(other) and other is not session]) >= limit:
            if self.sleepiest(session) is None:
                self.ask_to_rest("room_needed", session)
                raise Busy(
                    f"All {limit} places are taken by sessions that are busy.",
                    code="too_many_sessions",
                    data={"retryAfter": WAIT_AFTER_SECONDS},
                )
            if not await self.put_to_sleep("room_needed", session):
                await asyncio.sleep(0.05)

    def _has_place(self, session: Session) -> bool:
        return session.live or session.id in self._reserved

    def sleepiest(self, but: Session | None = None) -> Session | None:
        """The least recently used session that may be put to sleep."""
        candidates = []
        for household in self._households.values():
            if household.session is not but and household.restful():
                candidates.append(household.session)
        return min(candidates, key=lambda s: s.record.last_activity, default=None)

    async def put_to_sleep(self, cause: str, but: Session | None = None) -> bool:
        """The session that is needed least; False when none could."""
        sleepiest = self.sleepiest(but)
        if sleepiest is None:
            return False
        try:
            await self._households[sleepiest.id].lifecycle.hibernate(cause)
        except Conflict:
            return False
        return True

    def ask_to_rest(self, cause: str, but: Session | None = None, enough: int = 1) -> None:
        """Nobody is idle: have those that have been up longest sleep between two turns, until `enough` bytes are promised.
        Their queues go on when they are woken in turn."""
        now = time.monotonic()
        if but is not None:
            self._waiters[but.id] = now
        for household in sorted(self._households.values(), key=lambda h: h.up_since):
            if enough <= 0:
                return
            session = household.session
            if not session.live or session is but:
                continue
            if household.rest_due is None and now - household.up_since >= TURN_SECONDS:
                household.rest_due = cause
            enough -= household.counted if household.rest_due is not None else 0

    async def let_others_go_first(self, session: Session) -> None:
        """Wait until nobody else waits for the room that this session has given up, but not for long."""
        end = time.monotonic() + YIELD_SECONDS
        while (now := time.monotonic()) < end:
            self._waiters = {name: at for name, at in self._waiters.items() if now - at < WAITING_SECONDS}
            if not set(self._waiters) - {session.id}:
                return
            await asyncio.sleep(0.1)

    def forget_rest(self, cause: str) -> None:
        """There is room again."""
        for household in self._households.values():
            if household.rest_due == cause:
                household.rest_due = None

    @property
    def memory(self) -> int:
        """Bytes of all process trees."""
        return sum(h.counted for h in self._households.values() if self._has_place(h.session))

    def _expected(self, session: Session) -> int:
        """Bytes that its process will count for: as many as its last one did, unless that was too many."""
        limit = int(self.house.config().limits.memory_per_session_mb * 1024**2)
        return max(FRESH_BYTES, min(limit, session.memory_bytes or 0))

    async def _await_resources(self, session: Session, asked: float) -> None:
        """Hold a start back while the machine is overloaded, at most `CPU_PATIENCE_SECONDS` from when it was asked for;
        refuse it while memory is short and nothing can sleep."""
        total = self.house.config().limits.memory_total_gb * 1024**3
        needed = self._expected(session)
        while self.memory + needed > total and await self.put_to_sleep("memory_total", session):
            pass
        if self.memory + needed > total and any(self._has_place(s) for s in self.sessions() if s is not session):
            self.ask_to_rest("memory_total", session)
            raise self._no_memory(WAIT_AFTER_SECONDS)
        end = asked + CPU_PATIENCE_SECONDS
        meter = None
        while self.cpu_percent > (limit := self.house.config().limits.cpu_percent) and time.monotonic() < end:
            if meter is None:
                self.store.append("start_delayed", session.id, {"cpuPercent": self.cpu_percent, "limit": limit})
                meter = resources.CpuMeter()
            await asyncio.sleep(CPU_LOOK_SECONDS)
            self.cpu_percent = meter.percent()

    def _no_memory(self, after: float) -> Busy:
        limit = self.house.config().limits.memory_total_gb
        return Busy(
            f"The sessions use all of limits.memory_total_gb ({limit:g} GB) and none is idle. "
            "Wait, end one, or raise the limit.",
            code="memory_exhausted",
            data={"retryAfter": after},
        )

    def forget_ended(self) -> None:
        """Drop ended sessions from memory; the store keeps them."""
        for identity, household in list(self._households.items()):
            if household.session.state is State.ENDED and not self.store.count_open(identity):
                if household.task is not None:
                    household.task.cancel()
                del self._households[identity]

    # -- running ---------------------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Poll soon."""
        self._hurry.set()

    async def recover(self) -> dict[str, int]:
        """Adopt what lives and revive what died; return how many of each."""
        outcomes: dict[str, int] = {}
        for record in self.store.sessions():
            self._admit_record(record)
        adoptable = list(self._households.values())
        results = await asyncio.gather(*(self._adopt(household) for household in adoptable))
        for result in results:
            outcomes[result] = outcomes.get(result, 0) + 1
        for household in adoptable:
            household.begin()
        return outcomes

    async def _adopt(self, household: Household) -> str:
        try:
            outcome = await household.lifecycle.adopt()
            self._unadopted.discard(household.session.id)
            return outcome
        except (PilotlightError, OSError) as error:
            self._unadopted.add(household.session.id)
            self.log.error("adoption_failed", extra={"fields": {"session": household.session.id, "why": str(error)}})
            return "failed"

    async def adopt_again(self) -> None:
        """Those whose adoption failed, since the disk or the database refused."""
        for identity in tuple(self._unadopted):
            household = self._households.get(identity)
            if household is None or household.session.terminal is not None:
                self._unadopted.discard(identity)
            else:
                await self._adopt(household)

    async def run(self) -> None:
        """Poll the live sessions until cancelled."""
        while True:
            hurry, calm = False, REST_SECONDS
            refused: StorageFailed | None = None
            now = time.monotonic()
            for household in list(self._households.values()):
                session = household.session
                if session.terminal is None:
                    continue
                try:
                    hurry = session.look(now) or hurry
                    if not household.quiet(now):
                        calm = CALM_SECONDS
                    if session.relock:
                        household.lifecycle.follow_conversation()
                    if renewal.is_stale(session):
                        household.renew()
                    if session.permissions:
                        household.policy.tend()
                    if session.state is State.WAITING and session.record.trust:
                        household.lifecycle.tend_trust()
                except StorageFailed as error:
                    refused = error
                except Exception:  # the boundary: one session's bad luck must not blind the others
                    self.log.exception("look_failed", extra={"fields": {"session": session.id}})
            self._hurry.clear()
            if refused is not None:
                self.log.warning("storage_refuses", extra={"fields": {"why": refused.message}})
                await asyncio.sleep(STORAGE_SECONDS)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(HURRY_SECONDS if hurry else calm):
                    await self._hurry.wait()
                await asyncio.sleep(HURRY_SECONDS)  # a terminal that floods must not have us look at every chunk

    async def close(self) -> None:
        """Let go of every holder; the sessions live on."""
        for task in self._background:
            task.cancel()
        for household in self._households.values():
            if household.task is not None:
                household.task.cancel()
        for household in self._households.values():
            terminal, household.session.terminal = household.session.terminal, None
            if terminal is not None:
                await terminal.close()

    async def stop_all(self, cause: str) -> int:
        """End every process tree; the conversations sleep, queues and all. Return how many were live."""
        self._closing = True
        live = [household for household in self._households.values() if household.session.live]
        for household in self._households.values():
            if household.task is not None:
                household.task.cancel()
        await asyncio.gather(*(household.lifecycle.suspend(cause) for household in live))
        return len(live)
