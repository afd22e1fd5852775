"""What can be asked of the supervisor: one table from operation to arguments and handler."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace as replace_fields

from shared import __version__
from shared.bus import events, messages, operations
from shared.bus.messages import Request
from shared.errors import (
    Busy,
    Conflict,
    InvalidRequest,
    NotFound,
    PilotlightError,
    StartFailed,
    StartPostponed,
    Unavailable,
)
from supervisor.bus.audit import Audit
from supervisor.bus.operations import paging
from supervisor.bus.operations import recap as recaps
from supervisor.delivery import answer, interrupt
from supervisor.delivery.keyboard import keyboard, refuse_beside_writer
from supervisor.lifecycle import recycling
from supervisor.pool.checks import run_checks
from supervisor.pool.health import Health
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.metrics import Metrics
from supervisor.pool.pool import Pool
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.session.states import State
from supervisor.session.view import view_of
from supervisor.settings import Settings
from supervisor.store import idempotency
from supervisor.store.store import MessageRecord
from supervisor.terminal.holder_client import HolderError
from supervisor.terminal.keys import key_bytes
from supervisor.terminal.refusals import refusal

MAX_PAGE = 1000
START_WAIT_SECONDS = 15.0
INTERRUPT_WAIT_SECONDS = 10.0
KEYS_WAIT_SECONDS = 8.0
"""How long keys wait for a message to go through the box: less than clients wait for the answer."""
MAX_WAIT_SECONDS = 3600.0

Handler = Callable[[Any, Request], Awaitable[Any]]


class Ops:
    """The handlers. `facts` says what is true of the daemon itself; `shutdown` ends it."""

    def __init__(
        self,
        pool: Pool,
        facts: Callable[[], dict[str, Any]],
        shutdown: Callable[[bool], Awaitable[int]],
        settings: Settings,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._facts = facts
        self._shutdown = shutdown
        self._settings = settings
        self._health = health
        self._metrics = metrics
        self.audit = Audit(pool.store)
        self.push_reply: Callable[[str, str], bool] = lambda message, token: False
        m = operations
        self._table: dict[str, tuple[type[Any], Handler]] = {
            "ping": (m.Nothing, self._ping),
            "status": (m.Nothing, self._status),
            "shutdown": (m.Shutdown, self._stop_daemon),
            "session.create": (m.CreateSession, self._create),
            "session.list": (m.ListSessions, self._list),
            "session.get": (m.SessionRef, self._get),
            "session.update": (m.UpdateSession, self._update),
            "session.kill": (m.StopSession, self._kill),
            "session.hibernate": (m.HibernateSession, self._hibernate),
            "session.wake": (m.SessionRef, self._wake),
            "session.reopen": (m.SessionRef, self._reopen),
            "session.interrupt": (m.SessionRef, self._interrupt),
            "session.answer": (m.Answer, self._answer),
            "session.keep_alive": (m.KeepAlive, self._keep_alive),
            "session.keys": (m.SendKeys, self._keys),
            "message.send": (m.SendMessage, self._send),
            "message.get": (m.MessageRef, self._message),
            "message.list": (m.ListMessages, self._messages),
            "message.cancel": (m.MessageRef, self._cancel),
            "events.since": (m.EventsSince, self._events),
            "health": (m.Nothing, self._check_health),
            "metrics": (m.Nothing, self._count),
            "settings.get": (m.Nothing, self._get_settings),
            "settings.patch": (m.SettingsPatch, self._patch_settings),
            "audit.refused": (m.RefusedCall, self.audit.note),
        }

    def add(self, op: str, arguments: type[Any], handler: Handler) -> None:
        """One more operation."""
        self._table[op] = (arguments, handler)

    async def handle(self, request: Request) -> Any:
        """Answer one request. Raise InvalidRequest for an unknown operation or arguments that do not fit."""
        found = self._table.get(request.op)
        if found is None:
            raise InvalidRequest(f"There is no operation {request.op!r}.", code="unknown_op")
        kind, handler = found
        try:
            arguments = msgspec.convert(request.args, kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"{request.op}: {error}.", code="invalid_arguments") from error
        self.audit.asked(request, arguments)
        if getattr(arguments, "wait", 0):
            arguments = replace_fields(arguments, wait=min(arguments.wait, _patience(request)))
        try:
            return await handler(arguments, request)
        except HolderError as error:
            raise refusal(error) from error
        except PilotlightError as error:
            self.audit.failed(request, arguments, error)
            raise

    # -- the daemon ------------------------------------------------------------------------------------------------

    async def _ping(self, _: Any, __: Request) -> Any:
        facts = self._facts()
        return {name: facts[name] for name in ("pid", "version", "startedAt", "node", "epoch", "ready")} | {
            "head": self._pool.store.head()
        }

    async def _status(self, _: Any, __: Request) -> Any:
        facts = self._facts()
        return facts | {
            "version": __version__,
            "head": self._pool.store.head(),
            "sessions": [session.view() for session in self._open()],
        }

    async def _check_health(self, _: Any, __: Request) -> Any:
        return run_checks(self._pool, self._health.memory_total, self._facts())

    async def _count(self, _: Any, __: Request) -> Any:
        return self._metrics.view(self._pool)

    async def _get_settings(self, _: Any, __: Request) -> Any:
        return self._settings.view()

    async def _patch_settings(self, arguments: operations.SettingsPatch, request: Request) -> Any:
        return self._settings.patch(arguments.values, request.actor)

    async def _stop_daemon(self, arguments: operations.Shutdown, _: Request) -> Any:
        return {"stopped": await self._shutdown(arguments.sessions)}

    def _open(self) -> list[Session]:
        return sorted(
            (s for s in self._pool.sessions() if s.state is not State.ENDED), key=lambda s: s.record.created_at
        )

    # -- sessions --------------------------------------------------------------------------------------------------

    async def _create(self, arguments: operations.CreateSession, request: Request) -> Any:
        key = idempotency.RequestKey("session.create", None, arguments.key, idempotency.asked(arguments))
        return await self.open(arguments, key, request)

    async def open(self, arguments: operations.CreateSession, key: idempotency.RequestKey, request: Request) -> Any:
        """A new session, or the one that this key has opened."""
        store = self._pool.store
        if (known := key.recall(store, idempotency.opened)) is not None:
            self.audit.opened_before(request, known["id"])
            return self._pool.managed(known["id"]).session.view()
        managed = await self._copied_or_new(arguments, key, request)
        session = managed.session
        key.remember(store, {"id": session.id})
        try:
            await managed.lifecycle.start("created")
        except (Busy, StartPostponed) as error:  # whoever asked will ask again, for another one
            key.remember(store, None)
            await managed.lifecycle.stop("start_failed", error.error_code)
            raise
        patience = max(arguments.wait, 0.0)
        if patience:
            await session.changed.wait_for(
                lambda: session.state is not State.STARTING and not session.answering_itself, patience
            )
        if session.state is State.ENDED:
            if session.record.end_reason == "killed":
                self._refuse_ended(session)
            raise StartFailed(session.record.end_detail or "`claude` could not be started.")
        return session.view()

    async def _copied_or_new(
        self, arguments: operations.CreateSession, key: idempotency.RequestKey, request: Request
    ) -> ManagedSession:
        fork = await self._pool.fork(arguments) if arguments.fork else None
        try:
            if fork is not None and (known := key.recall(self._pool.store, idempotency.opened)) is not None:
                fork.discard()
                return self._pool.managed(known["id"])
            return self._pool.create(arguments, request.op, request.actor, fork)
        except BaseException:
            if fork is not None:
                fork.discard()
            raise

    async def _list(self, arguments: operations.ListSessions, _: Request) -> Any:
        sessions = self._open()
        views = [session.view() for session in sessions]
        if arguments.include_ended or arguments.state == "ended":
            known, config = {view.id for view in views}, self._pool.services.config()
            for record in self._pool.store.sessions(include_ended=True):
                if record.id not in known and record.state == "ended":
                    views.append(view_of(record, config, self._pool.store.count_open(record.id)))
        if arguments.state:
            views = [view for view in views if view.state == arguments.state]
        told, following = paging.page(views, lambda view: (view.created_at, view.id), arguments.after, arguments.limit)
        return {"sessions": told, "next": following}

    def _find(self, session_id: str) -> ManagedSession:
        return self._pool.managed(session_id)

    async def _get(self, arguments: operations.SessionRef, _: Request) -> Any:
        return self._find(arguments.session_id).session.view()

    async def _update(self, arguments: operations.UpdateSession, _: Request) -> Any:
        session = self._find(arguments.session_id).session
        given = {name: value for name in recycling.NAMES if (value := getattr(arguments, name)) is not msgspec.UNSET}
        with session.change(durable=True):
            recycle = recycling.change(session, given)
            for name in ("title", "auto_keep_alive"):
                value = getattr(arguments, name)
                if value is not msgspec.UNSET:
                    setattr(session.record, name, value)
            session.store.save_session(session.record)
            session.store.append(events.Updated(recycle=recycle), session.id)
        if recycle and session.state is State.IDLE:
            await recycling.renew(session, self._find(session.id).lifecycle)
        return session.view()

    async def _kill(self, arguments: operations.StopSession, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        await managed.lifecycle.stop(arguments.reason, f"asked by {request.actor}")
        return managed.session.view()

    async def _hibernate(self, arguments: operations.HibernateSession, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        await managed.lifecycle.hibernate(f"asked by {request.actor}", lose_scheduled=arguments.lose_scheduled)
        return managed.session.view()

    async def _wake(self, arguments: operations.SessionRef, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        self._refuse_ended(managed.session)
        await managed.lifecycle.start(f"asked by {request.actor}")
        await managed.session.changed.wait_for(lambda: managed.session.state is not State.STARTING, START_WAIT_SECONDS)
        return managed.session.view()

    async def _reopen(self, arguments: operations.SessionRef, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        self._pool.reopen(managed, request.actor)
        return managed.session.view()

    async def _interrupt(self, arguments: operations.SessionRef, request: Request) -> Any:
        if 0 < request.sent < self._facts()["startedAt"]:
            # A client repeats what was not answered; the supervisor before us may have done it, and the turn is another one.
            raise Unavailable(
                "The supervisor was restarted meanwhile, and the turn that was to be interrupted may be over. Look at the "
                "session, and ask again.",
                code="supervisor_restarted",
            )
        session = self._find(arguments.session_id).session
        self._refuse_ended(session)
        rung = await interrupt.interrupt(session)
        return {"session": session.view(), "rung": rung}

    async def _answer(self, arguments: operations.Answer, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        store = self._pool.store
        key = idempotency.RequestKey("session.answer", session.id, arguments.key, idempotency.asked(arguments))
        if (known := key.recall(store, idempotency.answered(store, session.id))) is not None:
            return {"session": session.view(), "answer": known, "duplicate": True}
        given = await answer.answer(session, arguments, request.actor)
        key.remember(store, given)
        return {"session": session.view(), "answer": given}

    async def _keep_alive(self, arguments: operations.KeepAlive, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        self._refuse_ended(session)
        with session.change(durable=True):
            session.touch()
            session.store.save_session(session.record)
            session.store.append(events.Extended(by=request.actor), session.id)
        recap = recaps.Recap()
        if arguments.action == "recap":
            recap = await recaps.ask(self._pool, session, arguments.key, arguments.wait, self._await)
        return {"session": session.view(), "recap": recap.text, "recapSkipped": recap.skipped}

    async def _keys(self, arguments: operations.SendKeys, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        data = key_bytes(arguments.keys, arguments.text)
        refuse_beside_writer(session)
        async with keyboard(session, KEYS_WAIT_SECONDS) as terminal:
            refuse_beside_writer(session)
            session.person_presses(data)
            await terminal.press(f"k:{arguments.key or request.id}", data)
        session.touch()
        return session.view()

    @staticmethod
    def _refuse_ended(session: Session) -> None:
        if session.state is State.ENDED:
            raise Conflict(
                f"The session has ended ({session.record.end_reason}). Reopen it to go on.", code="session_ended"
            )

    # -- messages --------------------------------------------------------------------------------------------------

    async def _send(self, arguments: operations.SendMessage, request: Request) -> Any:
        managed, message, duplicate = await self._pool.accept(arguments, request.actor)
        token = arguments.device_token
        pushed = token is not None and self.push_reply(message.id, token)
        interrupted = None
        if arguments.interrupt and not duplicate:
            interrupted = await self._make_way(managed.session)
        if arguments.wait > 0:
            await self._await(message.id, managed.session, arguments.wait)
        sent = self._pool.sent(managed, message.id, duplicate)
        return replace_fields(sent, interrupted=interrupted, pushed=pushed)

    async def _make_way(self, session: Session) -> str | None:
        """End the turn that runs now, and never the one of a message that follows it; return what ended it.

        None when nothing runs, or it goes on in spite of it: the message is the next one either way.
        """
        current = session.current
        if current is not None:
            await interrupt.until_told(session)
            if session.current is not current:
                return None
        running = session.record.turn_prompt
        await session.changed.wait_for(lambda: not session.answering.locked(), INTERRUPT_WAIT_SECONDS)
        if session.record.turn_prompt != running or not (running or interrupt.is_command_at_work(session)):
            return None
        with suppress(Conflict, Unavailable, HolderError):
            return await interrupt.interrupt(session)
        return None

    async def _await(self, message_id: str, session: Session, wait: float) -> MessageRecord:
        """The message once it is settled, or the session waits for a person, or the time is up."""

        def asks() -> bool:
            waiting = session.waiting
            return session.state is State.WAITING and waiting is not None and not session.answering_itself

        with session.fates.awaited(message_id) as settled:
            await session.changed.wait_for(lambda: settled() or asks(), wait)
        record = self._pool.store.message(message_id)
        assert record is not None
        return record

    async def _message(self, arguments: operations.MessageRef, _: Request) -> Any:
        record = self._pool.store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        if arguments.wait > 0 and record.state not in messages.SETTLED:
            record = await self._await(record.id, self._find(record.session_id).session, arguments.wait)
        return self._pool.receipt(record)

    async def _messages(self, arguments: operations.ListMessages, _: Request) -> Any:
        self._find(arguments.session_id)
        limit = max(1, min(MAX_PAGE, arguments.limit))
        page, more = self._pool.store.messages(arguments.session_id, arguments.after, limit, arguments.state)
        return {
            "messages": self._pool.receipts(arguments.session_id, page),
            "next": page[-1].id if more and page else None,
        }

    async def _cancel(self, arguments: operations.MessageRef, _: Request) -> Any:
        record = self._pool.store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._find(record.session_id).session
        current = session.current
        if record.state != "queued" or (current is not None and current.id == record.id):
            raise Conflict(
                f"The message is {record.state}: only a queued one can be cancelled. Interrupt the session instead.",
                code="not_cancellable",
            )
        receipts.step(session, record, "cancelled")
        return record.view()

    # -- events ----------------------------------------------------------------------------------------------------

    async def _events(self, arguments: operations.EventsSince, _: Request) -> Any:
        store = self._pool.store
        oldest = store.oldest()
        limit = max(1, min(MAX_PAGE, arguments.limit))
        return {
            "epoch": store.epoch,
            "head": store.head(),
            "oldest": oldest,
            "events": store.events(arguments.seq, limit, arguments.session_id, arguments.kinds),
            "gap": arguments.seq + 1 < oldest,
        }


def _patience(request: Request) -> float:
    """How long its caller can wait for an answer, in seconds: what it waits for must not outlive it for ever."""
    left = request.deadline / 1000 - time.time() if request.deadline else MAX_WAIT_SECONDS
    return max(0.0, min(left, MAX_WAIT_SECONDS))
