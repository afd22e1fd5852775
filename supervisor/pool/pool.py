"""Which sessions exist: created, found, listed, given their messages, and looked at.

The pool looks at a live one when its files or its terminal tell that something has changed, and, for what only time tells, now
and then. Who gets a process is `admission`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from functools import partial

from msgspec import UNSET

from shared.bus import service_events, session_events
from shared.bus.message_requests import SendMessage
from shared.bus.messages import MessageKind, MessageView, Sent, SessionView
from shared.bus.operations import OPENS, SENDS
from shared.bus.session_requests import CreateSession
from shared.errors import Busy, Conflict, NotFound, PilotlightError, StorageFailed
from supervisor import clock
from supervisor.claude.texts import normalization
from supervisor.lifecycle import holder_link, recycling
from supervisor.lifecycle.launch import has_transcript, refuse_lost
from supervisor.observation.file_news import FileNews
from supervisor.pool import accepting, opening
from supervisor.pool.admission import RETRY_AFTER_SECONDS, Admission
from supervisor.pool.managed_session import CALM_SECONDS, QUIET_POLL_SECONDS, SOON_SECONDS, ManagedSession
from supervisor.session import attachments, mention_rules, move
from supervisor.session.condition import Condition
from supervisor.session.mention_rules import Reach
from supervisor.session.services import Services
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store import idempotency
from supervisor.store.message_index import OPEN_STATES
from supervisor.store.options import LaunchOptions, Remembered
from supervisor.store.store import MessageRecord, SessionRecord, now_ms

SEND = "message.send"
REOPENED_BY_MESSAGE = frozenset({"expired", "exited", "crashed"})
"""How a session ends that a message may bring back: nobody has ended it from outside, and its conversation is whole."""

STORAGE_SECONDS = 1.0
"""How often sessions are looked at while the database refuses what they have to say."""


def _together(now: float, seconds: float) -> float:
    """When to look again, so that those in no hurry are looked at together: each by itself would wake us as often as there are
    sessions (measured with five at rest: 1.5 % of a core, not 1.0)."""
    return now + seconds if seconds < CALM_SECONDS else (now // seconds + 1) * seconds


class Pool:
    """All sessions that are not ended, and a few that are."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.store = services.store
        self._managed_sessions: dict[str, ManagedSession] = {}
        self.admission = Admission(services, self._managed_sessions)
        self._woken = Condition()
        self._poll_now = self._told = False
        self._looked_before = 0.0
        self._news = FileNews(self._hear)
        self._unadopted: set[str] = set()
        self.log: logging.Logger = services.log

    # -- finding ---------------------------------------------------------------------------------------------------

    def managed(self, session_id: str) -> ManagedSession:
        """The session with its actors; ended ones are brought back from the store. Raise NotFound."""
        known = self._managed_sessions.get(session_id)
        if known is not None:
            return known
        record = self.store.session(session_id)
        if record is None:
            raise NotFound(
                f"Session {session_id} not found. `GET /api/sessions?includeEnded=true` lists all.",
                code="session_not_found",
            )
        return self._admit_record(record)

    def _admit_record(self, record: SessionRecord) -> ManagedSession:
        managed = ManagedSession(Session(record, self.services), self.admission, self.poll_soon)
        self._managed_sessions[record.id] = managed
        return managed

    def take_in(self, record: SessionRecord) -> ManagedSession:
        """A session that has come from another node, in the place of what was left of it here."""
        before = self._managed_sessions.pop(record.id, None)
        if before is not None and before.task is not None:
            before.task.cancel()
        managed = self._admit_record(record)
        managed.begin()
        return managed

    def look(self, session_id: str) -> SessionView | None:
        """A session as clients see it, if it is one of those that are at hand. Changes nothing."""
        managed = self._managed_sessions.get(session_id)
        return managed.session.view() if managed is not None else None

    def sessions(self) -> list[Session]:
        """Everything in memory."""
        return [managed.session for managed in self._managed_sessions.values()]

    def managed_sessions(self) -> list[ManagedSession]:
        """Everything in memory, with its actors."""
        return list(self._managed_sessions.values())

    def live(self) -> list[Session]:
        """Those that have a process, or are getting one."""
        return [session for session in self.sessions() if session.live]

    # -- creating --------------------------------------------------------------------------------------------------

    async def fork(self, request: CreateSession) -> opening.Fork | None:
        """What `create` needs for a fork: the conversation as it is now."""
        self.admission.check()
        return await asyncio.to_thread(opening.fork, self.services, request)

    def create(self, request: CreateSession, op: str, actor: str, fork: opening.Fork | None = None) -> ManagedSession:
        """A new session, still without a process, with who has opened it in the journal. Raise InvalidRequest when the project is
        no directory."""
        self.admission.refuse_when_draining()
        project = opening.project_folder(request.project_path)
        if not request.asleep:
            self.admission.check()
        session_id = fork.session_id if fork is not None else str(uuid.uuid4())
        source = fork.transcript if fork is not None else opening.source(self.services, request, project)
        now = now_ms()
        options = recycling.options({name: getattr(request, name) for name in recycling.NAMES})
        record = SessionRecord(
            id=session_id,
            project_path=str(project),
            created_at=now,
            last_activity=now,
            state=State.HIBERNATED,
            conversation_id=session_id if fork is not None or request.resume is None else request.resume,
            transcript=str(source) if source is not None else None,
            fork_from=request.resume if fork is not None else None,
            remembered=Remembered(spoken=session_id) if fork is not None else Remembered(),
            title=request.title,
            launch=options,
            activity_clock=clock.now(),
            activity_boot=clock.BOOT,
            trust=request.trust,
            auto_keep_alive=request.auto_keep_alive,
            delivery=request.delivery,
        )
        with self.store.transaction(durable=True):
            self.store.save_session(record)
            if source is not None:  # what was said before is nobody's answer
                self.store.set_position(session_id, f"transcript:{source.name}", source.stat().st_size)
            self.store.append(
                session_events.Created(project_path=record.project_path, from_=request.resume or UNSET), session_id
            )
            if op in OPENS:  # a message that opens one is recorded with it
                self.store.append(service_events.Audit(op=op, actor=actor, session=session_id), session_id)
        managed = self._admit_record(record)
        managed.begin()
        return managed

    # -- sending ---------------------------------------------------------------------------------------------------

    async def accept(self, request: SendMessage, actor: str) -> tuple[ManagedSession, MessageRecord, bool]:
        """`send`, with the files of the message on disk before it is accepted."""
        if not request.attachments:
            return self.send(request, actor=actor)
        body = await asyncio.to_thread(idempotency.digest_of, request)
        if idempotency.message_of(self.store, SEND, request, body) is not None:
            return self.send(request, body=body, actor=actor)
        staged = await asyncio.to_thread(attachments.stage, self.services.paths.home, request.attachments)
        try:
            return self.send(request, staged=staged, body=body, actor=actor)
        finally:
            staged.discard()

    def send(
        self,
        request: SendMessage,
        kind: MessageKind = "prompt",
        staged: attachments.Staged | None = None,
        actor: str = "local",
        op: str = SEND,
        body: str | None = None,
    ) -> tuple[ManagedSession, MessageRecord, bool]:
        """Accept a message: in the database and synced before this returns, with who sent it in the journal. Return also
        whether it was a repeat."""
        body = idempotency.digest_of(request) if body is None else body
        known = idempotency.message_of(self.store, op, request, body)
        told = {"op": op, "actor": actor} if op in SENDS else None
        if known is not None:
            move.refuse_moved(self.managed(known.session_id).session.record)
            accepting.audit(self.store, known, told, duplicate=True)
            return self.managed(known.session_id), known, True
        typed = normalization.prepare(request.text, request.exact) if kind == "prompt" else None
        prompt = typed.prompt if typed is not None else request.text
        if request.session_id:
            managed = self.managed(request.session_id)
            move.refuse(managed.session.record)
            managed.session.check_mentions(prompt, request.confined)
            if managed.session.state is State.ENDED:
                self._reopen_for_message(managed, request, actor)
            elif not managed.session.live:
                refuse_lost(managed.session)
        else:
            project = request.project_path or opening.default_project(self.services)
            folder = str(opening.project_folder(project))
            reach_of = partial(self._reach_of_new, folder)
            mention_rules.check(self.services.config(), reach_of, prompt, request.confined)
            managed = self.create(
                CreateSession(
                    project_path=project,
                    title=request.title,
                    trust=request.trust,
                    permission_mode=request.permission_mode,
                    model=request.model,
                ),
                op,
                actor,
            )
        session = managed.session
        if self.store.count_open(session.id) >= self.services.config().sessions.max_queue:
            raise Busy("The session's queue is full.", code="queue_full", data={"retryAfter": RETRY_AFTER_SECONDS})
        record = accepting.record_of(session, request, typed, kind)
        if request.key:
            record.key, record.body = request.key, body
            record.request_key = idempotency.name(op, request.session_id, request.key)
            record.opened_in = None if request.session_id else request.project_path or ""
        accepting.accept(session, request, record, staged, told)
        managed.begin()
        self.poll_soon()
        return managed, record, False

    def _reach_of_new(self, folder: str) -> Reach:
        return Reach.of(self.services.paths, "new", folder, self.services.home, LaunchOptions())

    def _reopen_for_message(self, managed: ManagedSession, request: SendMessage, actor: str) -> None:
        """Bring the session of this message back. Raise Conflict when that takes a person, Busy when there is no room."""
        session = managed.session
        reason = session.record.end_reason
        if not request.reopen or reason not in REOPENED_BY_MESSAGE or not has_transcript(session):
            raise Conflict(
                f"The session has ended ({reason}). `POST /api/sessions/{session.id}/reopen` brings it back.",
                code="session_ended",
            )
        self.admission.check()
        self.reopen(managed, actor)

    def reopen(self, managed: ManagedSession, actor: str) -> None:
        """Make an ended session one that sleeps, and say who did. Raise Conflict when it is open."""
        session = managed.session
        said = session_events.Reopened(by=actor, after=session.record.end_reason)
        with session.change(durable=True):
            managed.lifecycle.reopen()
            self.store.append(said, session.id)
        managed.begin()

    def sent(self, managed: ManagedSession, message_id: str, duplicate: bool = False) -> Sent:
        """The present receipt of a message with its session."""
        record = self.store.message(message_id)
        assert record is not None
        return Sent(message=self.receipt(record), session=managed.session.view(), duplicate=duplicate)

    def receipts(self, session_id: str, page: list[MessageRecord]) -> list[MessageView]:
        """Messages of one session as clients see them, each with its place in the queue."""
        order = self.store.index.order(session_id) if any(record.state in OPEN_STATES for record in page) else {}
        return [record.view(order.get(record.ord)) for record in page]

    def receipt(self, record: MessageRecord) -> MessageView:
        """One message as clients see it. `queue_position` is 0 for the one under way, then 1, 2 ...; None once it is settled."""
        return record.view(self.store.index.position(record))

    # -- sessions ----------------------------------------------------------------------------------------------------

    def forget_ended(self) -> None:
        """Drop ended sessions from memory; the store keeps them."""
        for session_id, managed in list(self._managed_sessions.items()):
            if managed.session.state is State.ENDED and not self.store.count_open(session_id):
                if managed.task is not None:
                    managed.task.cancel()
                self._news.forget(session_id)
                del self._managed_sessions[session_id]

    # -- running ---------------------------------------------------------------------------------------------------

    def poll_soon(self) -> None:
        """Poll soon."""
        self._poll_now = True
        self._woken.notify()

    async def recover(self) -> dict[str, int]:
        """Adopt what lives and revive what died; return how many of each."""
        outcomes: dict[str, int] = {}
        for record in self.store.sessions():
            self._admit_record(record)
        adoptable = list(self._managed_sessions.values())
        results = await asyncio.gather(*(self._adopt(managed) for managed in adoptable))
        for result in results:
            outcomes[result] = outcomes.get(result, 0) + 1
        for managed in adoptable:
            managed.begin()
        return outcomes

    async def _adopt(self, managed: ManagedSession) -> str:
        try:
            outcome = await managed.adopt()
            self._unadopted.discard(managed.session.id)
            return outcome
        except (PilotlightError, OSError) as error:
            self._unadopted.add(managed.session.id)
            self.log.error("adoption_failed", extra={"fields": {"session": managed.session.id, "why": str(error)}})
            return "failed"

    async def adopt_again(self) -> None:
        """Those whose adoption failed, since the disk or the database refused."""
        for session_id in tuple(self._unadopted):
            managed = self._managed_sessions.get(session_id)
            if managed is None or managed.session.terminal is not None:
                self._unadopted.discard(session_id)
            else:
                await self._adopt(managed)

    async def run(self) -> None:
        """Look at the live sessions, each when it is due, until cancelled."""
        self._news.open()
        try:
            while True:
                looked_at = time.monotonic()
                if refused := self._look_at_all(looked_at):
                    self.log.warning("storage_refuses", extra={"fields": {"why": refused.message}})
                    await asyncio.sleep(STORAGE_SECONDS)
                else:
                    await self._rest(looked_at)
        finally:
            self._news.close()

    def _look_at_all(self, now: float) -> StorageFailed | None:
        """Look at those that are due; what the database has refused of what they say."""
        refused: StorageFailed | None = None
        for managed in list(self._managed_sessions.values()):
            session = managed.session
            if session.terminal is None:
                self._news.forget(session.id)
            elif managed.due <= now:
                managed.due = now + SOON_SECONDS
                try:
                    soon = managed.look(now)
                    told = self._news.follow(session.id, managed.files)
                    managed.due = _together(now, managed.patience(soon, told, now))
                    managed.tend()
                except StorageFailed as error:
                    refused = error
                except Exception:  # the boundary: one session's bad luck must not blind the others
                    self.log.exception("look_failed", extra={"fields": {"session": session.id}})
        return refused

    async def _rest(self, looked_at: float) -> None:
        """Until the next session is due, or something changes: what files tell is looked at at once, other things soon."""
        self._poll_now = self._told = False
        dues = [managed.due for managed in self._managed_sessions.values() if managed.session.terminal is not None]
        due = min(dues, default=looked_at + QUIET_POLL_SECONDS)
        if await self._woken.wait_for(lambda: self._poll_now, max(SOON_SECONDS, due - time.monotonic())):
            # A terminal that floods must not have us look at every chunk.
            told = await self._woken.wait_for(lambda: self._told, SOON_SECONDS)
            if not told or looked_at - self._looked_before < 2 * SOON_SECONDS:  # nor one whose files do
                await asyncio.sleep(looked_at + SOON_SECONDS - time.monotonic())
        self._looked_before = looked_at

    def _hear(self, session_id: str) -> None:
        """A file of this session has grown."""
        managed = self._managed_sessions.get(session_id)
        if managed is not None:
            self._told = True
            managed.look_now()

    async def close(self) -> None:
        """Let go of every holder; the sessions live on."""
        self.admission.close()
        for managed in self._managed_sessions.values():
            if managed.task is not None:
                managed.task.cancel()
        for managed in self._managed_sessions.values():
            managed.session.spent.remove()
            await holder_link.disconnect(managed.session)

    async def stop_all(self, cause: str) -> int:
        """End every process tree; the conversations sleep, queues and all. Return how many were live."""
        self.admission.closed = True
        live = [managed for managed in self._managed_sessions.values() if managed.session.live]
        for managed in self._managed_sessions.values():
            if managed.task is not None:
                managed.task.cancel()
        await asyncio.gather(*(managed.lifecycle.suspend(cause) for managed in live))
        return len(live)
