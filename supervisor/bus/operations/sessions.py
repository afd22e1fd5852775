"""The operations on sessions: opening, showing, changing, waking and ending them, and answering what they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from shared.bus import session_events, session_requests
from shared.bus.messages import Request, SessionView
from shared.errors import Busy, Conflict, StartFailed, StartPostponed, Unavailable
from supervisor.bus.audit import Audit
from supervisor.bus.operations import paging
from supervisor.bus.operations import recap as recaps
from supervisor.bus.operations.messages import settled
from supervisor.bus.operations.table import Row
from supervisor.delivery import answer, per_message
from supervisor.delivery.keyboard import keyboard, refuse_beside_writer
from supervisor.lifecycle import recycling
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.session.session import Session
from supervisor.session.view import view_of
from supervisor.state.states import State
from supervisor.store import idempotency
from supervisor.store.records import SessionRecord
from supervisor.terminal.keys import key_bytes

VIEWS_AT_ONCE = 20
START_WAIT_SECONDS = 15.0
KEYS_WAIT_SECONDS = 8.0
"""How long keys wait for a message to go through the box: less than clients wait for the answer."""


class SessionOps:
    """The handlers. `started_at` says when this supervisor began."""

    def __init__(self, pool: Pool, audit: Audit, started_at: Callable[[], int]) -> None:
        self._pool = pool
        self._audit = audit
        self._started_at = started_at

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("session.create", session_requests.CreateSession, self._create),
            ("session.list", session_requests.ListSessions, self._list),
            ("session.get", session_requests.SessionRef, self._get),
            ("session.update", session_requests.UpdateSession, self._update),
            ("session.kill", session_requests.StopSession, self._kill),
            ("session.hibernate", session_requests.HibernateSession, self._hibernate),
            ("session.wake", session_requests.SessionRef, self._wake),
            ("session.reopen", session_requests.SessionRef, self._reopen),
            ("session.interrupt", session_requests.SessionRef, self._interrupt),
            ("session.answer", session_requests.Answer, self._answer),
            ("session.keep_alive", session_requests.KeepAlive, self._keep_alive),
            ("session.keys", session_requests.SendKeys, self._keys),
        ]

    async def _create(self, arguments: session_requests.CreateSession, request: Request) -> Any:
        key = idempotency.RequestKey("session.create", None, arguments.key, idempotency.asked(arguments))
        return await self.open(arguments, key, request)

    async def open(
        self, arguments: session_requests.CreateSession, key: idempotency.RequestKey, request: Request
    ) -> Any:
        """A new session, or the one that this key has opened."""
        store = self._pool.store
        if (known := key.recall(store, idempotency.opened)) is not None:
            self._audit.opened_before(request, known["id"])
            return self._pool.managed(known["id"]).session.view()
        managed = await self._copied_or_new(arguments, key, request)
        session = managed.session
        key.remember(store, {"id": session.id})
        if arguments.asleep:
            return session.view()
        try:
            if not session.per_message:
                await managed.lifecycle.start("created")
        except (Busy, StartPostponed) as error:  # whoever asked will ask again, for another one
            key.remember(store, None)
            await managed.lifecycle.stop("start_failed", error.error_code)
            raise
        patience = max(arguments.wait, 0.0)
        if patience:
            await session.changed.wait_for(lambda: not session.coming_up, patience)
        if session.state is State.ENDED:
            if session.record.end_reason == "killed":
                _refuse_ended(session)
            raise StartFailed(session.record.end_detail or "`claude` could not be started.")
        return session.view()

    async def _copied_or_new(
        self, arguments: session_requests.CreateSession, key: idempotency.RequestKey, request: Request
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

    async def _list(self, arguments: session_requests.ListSessions, _: Request) -> Any:
        paging.check_limit(arguments.limit)
        since, beginning = paging.place_of(arguments.after), arguments.begins_with
        here = {session.id: session for session in open_sessions(self._pool)}
        rows = [session.record for session in here.values() if session.id.startswith(beginning)]
        if arguments.include_ended or arguments.state == "ended":
            store = self._pool.store
            if arguments.limit is None:
                ended = await store.every_session(True, beginning)
            else:
                # As many more as there may be in memory, too.
                ended = store.page_of_sessions(since, arguments.limit + 1, True, beginning)
            rows += [record for record in ended if record.id not in here]
        if arguments.state:
            rows = [record for record in rows if record.state == arguments.state]
        told, following = paging.page(rows, lambda row: (row.created_at, row.id), arguments.after, arguments.limit)
        return {"sessions": await views_of(self._pool, told), "next": following}

    def _find(self, session_id: str) -> ManagedSession:
        return self._pool.managed(session_id)

    async def _get(self, arguments: session_requests.SessionRef, _: Request) -> Any:
        return self._find(arguments.session_id).session.view()

    async def _update(self, arguments: session_requests.UpdateSession, _: Request) -> Any:
        managed = self._find(arguments.session_id)
        session = managed.session
        given = {name: value for name in recycling.NAMES if (value := getattr(arguments, name)) is not msgspec.UNSET}
        with session.change(durable=True):
            recycle = recycling.change(session, given)
            for name in ("title", "auto_keep_alive", "delivery"):
                value = getattr(arguments, name)
                if value is not msgspec.UNSET:
                    setattr(session.record, name, value)
            session.store.save_session(session.record)
            session.store.append(session_events.Updated(recycle=recycle), session.id)
        managed.follow_delivery()
        if recycle and session.state is State.IDLE:
            await recycling.renew(session, managed.lifecycle)
        return session.view()

    async def _kill(self, arguments: session_requests.StopSession, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        await managed.lifecycle.stop(arguments.reason, f"asked by {request.actor}")
        return managed.session.view()

    async def _hibernate(self, arguments: session_requests.HibernateSession, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        await managed.lifecycle.hibernate(f"asked by {request.actor}", lose_scheduled=arguments.lose_scheduled)
        return managed.session.view()

    async def _wake(self, arguments: session_requests.SessionRef, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        _refuse_ended(managed.session)
        await managed.lifecycle.start(f"asked by {request.actor}")
        await managed.session.changed.wait_for(lambda: not managed.session.coming_up, START_WAIT_SECONDS)
        return managed.session.view()

    async def _reopen(self, arguments: session_requests.SessionRef, request: Request) -> Any:
        managed = self._find(arguments.session_id)
        self._pool.reopen(managed, request.actor)
        return managed.session.view()

    async def _interrupt(self, arguments: session_requests.SessionRef, request: Request) -> Any:
        if 0 < request.sent < self._started_at():
            # A client repeats what was not answered; the supervisor before us may have done it, and the turn is another one.
            raise Unavailable(
                "The supervisor was restarted meanwhile, and the turn that was to be interrupted may be over. Look at the "
                "session, and ask again.",
                code="supervisor_restarted",
            )
        managed = self._find(arguments.session_id)
        session = managed.session
        _refuse_ended(session)
        rung = await per_message.interrupt_turn(session, managed.lifecycle)
        return {"session": session.view(), "rung": rung}

    async def _answer(self, arguments: session_requests.Answer, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        store = self._pool.store
        key = idempotency.RequestKey("session.answer", session.id, arguments.key, idempotency.asked(arguments))
        if (known := key.recall(store, idempotency.answered(store, session.id))) is not None:
            return {"session": session.view(), "answer": known, "duplicate": True}
        given = await answer.answer(session, arguments, request.actor)
        key.remember(store, given)
        return {"session": session.view(), "answer": given}

    async def _keep_alive(self, arguments: session_requests.KeepAlive, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        _refuse_ended(session)
        with session.change(durable=True):
            session.touch()
            session.store.save_session(session.record)
            session.store.append(session_events.Extended(by=request.actor), session.id)
        recap = recaps.Recap()
        if arguments.action == "recap":
            recap = await recaps.ask(self._pool, session, arguments.key, arguments.wait, settled)
        return {"session": session.view(), "recap": recap.text, "recapSkipped": recap.skipped}

    async def _keys(self, arguments: session_requests.SendKeys, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        data = key_bytes(arguments.keys, arguments.text)
        refuse_beside_writer(session)
        async with keyboard(session, KEYS_WAIT_SECONDS) as terminal:
            refuse_beside_writer(session)
            session.person_presses(data)
            await terminal.press(f"k:{arguments.key or request.id}", data)
        session.touch()
        return session.view()


def _refuse_ended(session: Session) -> None:
    if session.state is State.ENDED:
        raise Conflict(
            f"The session has ended ({session.record.end_reason}). Reopen it to go on.", code="session_ended"
        )


async def views_of(pool: Pool, records: Iterable[SessionRecord]) -> list[SessionView]:
    """As clients see them, made a few at a time: there may be hundreds."""
    here, config = {session.id: session for session in pool.sessions()}, pool.services.config()
    views = []
    for number, record in enumerate(records, 1):
        session = here.get(record.id)
        views.append(session.view() if session is not None else view_of(record, config, 0))
        if number % VIEWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return views


def open_sessions(pool: Pool) -> list[Session]:
    """Those that have not ended, the oldest first."""
    return sorted((s for s in pool.sessions() if s.state is not State.ENDED), key=lambda s: s.record.created_at)
