"""The operations on messages: sending, commands, waiting for what becomes of them, and the queue's order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace as replace_fields

from shared.bus import message_events, message_requests, messages
from shared.bus.message_requests import SendMessage
from shared.bus.messages import CommandResult, Request, Until
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from supervisor.bus.operations.table import Row
from supervisor.claude.texts.slash_commands import check_command
from supervisor.delivery import interrupt, per_message
from supervisor.pool.pool import Pool
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.terminal.holder_client import HolderError

COMMAND = "session.command"
MAX_PAGE = 1000
MAX_QUEUE_SHOWN = 1000
INTERRUPT_WAIT_SECONDS = 10.0


class MessageOps:
    """The handlers. `push_reply` has what becomes of a message told to the device with this token, if it can be."""

    def __init__(self, pool: Pool, push_reply: Callable[[str, str], bool]) -> None:
        self._pool = pool
        self._store = pool.store
        self._push_reply = push_reply

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("message.send", message_requests.SendMessage, self._send),
            ("message.get", message_requests.MessageRef, self._message),
            ("message.list", message_requests.ListMessages, self._messages),
            ("message.cancel", message_requests.MessageRef, self._cancel),
            ("message.move", message_requests.MoveMessage, self._move),
            (COMMAND, message_requests.RunCommand, self._command),
        ]

    async def _send(self, arguments: message_requests.SendMessage, request: Request) -> Any:
        managed, message, duplicate = await self._pool.accept(arguments, request.actor)
        token = arguments.device_token
        pushed = token is not None and self._push_reply(message.id, token)
        interrupted = None
        if arguments.interrupt and not duplicate:
            interrupted = await self._make_way(managed.session)
        if arguments.wait > 0:
            await settled(message.id, managed.session, arguments.wait, arguments.until)
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
        if session.record.turn_prompt != running or not (running or interrupt.is_at_work(session)):
            return None
        with suppress(Conflict, Unavailable, HolderError):
            return await per_message.interrupt_turn(session, self._pool.managed(session.id).lifecycle)
        return None

    async def _message(self, arguments: message_requests.MessageRef, _: Request) -> Any:
        record = self._pool.store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        if arguments.wait > 0 and record.state not in messages.SETTLED:
            record = await settled(
                record.id, self._pool.managed(record.session_id).session, arguments.wait, arguments.until
            )
        return self._pool.receipt(record)

    async def _messages(self, arguments: message_requests.ListMessages, _: Request) -> Any:
        self._pool.managed(arguments.session_id)
        limit = max(1, min(MAX_PAGE, arguments.limit))
        page, more = self._pool.store.messages(arguments.session_id, arguments.after, limit, arguments.state)
        return {
            "messages": self._pool.receipts(arguments.session_id, page),
            "next": page[-1].id if more and page else None,
        }

    async def _cancel(self, arguments: message_requests.MessageRef, _: Request) -> Any:
        record = self._pool.store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._pool.managed(record.session_id).session
        current = session.current
        if record.state != "queued" or (current is not None and current.id == record.id):
            raise Conflict(
                f"The message is {record.state}: only a queued one can be cancelled. Interrupt the session instead.",
                code="not_cancellable",
            )
        receipts.step(session, record, "cancelled")
        return record.view()

    async def _move(self, arguments: message_requests.MoveMessage, _: Request) -> Any:
        if arguments.position < 0:
            raise InvalidRequest("`position` counts from 0, the next to be sent.", code="invalid_position")
        record = self._store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._pool.managed(record.session_id).session
        under_way = session.current
        current = under_way.id if under_way is not None else None
        waiting = self._store.index.waiting(session.id, current)
        if record.ord not in {number for number, _ in waiting}:
            raise Conflict(
                f"The message is {record.state}{' and under way' if record.state == 'queued' else ''}: only one that "
                "waits in the queue can be moved.",
                code="not_movable",
            )
        after = under_way.rank if under_way is not None and under_way.state == "queued" else None
        with self._store.transaction(durable=True):
            order = self._store.index.move(waiting, record.ord, arguments.position, after)
            self._store.append(
                message_events.QueueMoved(message=record.id, position=order.index(record.ord)), session.id
            )
        return {"messages": self._pool.receipts(session.id, self._store.queued(session.id, current, MAX_QUEUE_SHOWN))}

    async def _command(self, arguments: message_requests.RunCommand, request: Request) -> Any:
        command = check_command(arguments.command)
        order = SendMessage(text=command, session_id=arguments.session_id, key=arguments.key)
        managed, message, duplicate = self._pool.send(order, kind="command", op=COMMAND, actor=request.actor)
        session = managed.session

        def asks() -> bool:
            return asks_behind(session, message.id)

        with session.fates.awaited(message.id) as is_settled:
            await session.changed.wait_for(lambda: is_settled() or asks(), max(0.0, arguments.wait))
        current = session.current
        own = current is not None and current.id == message.id and current.state in ("typed", "submitted")
        view = self._pool.sent(managed, message.id).message
        return CommandResult(
            message_id=view.id,
            state=view.state,
            session=session.view(),
            output=view.reply,
            waiting=session.waiting if own and asks() else None,  # it may be queued behind what another one has opened
            error=view.error,
            duplicate=duplicate,
        )


def asks_behind(session: Session, message_id: str) -> bool:
    """Whether a person is asked, and this command is not just being entered: the dialog that it opens is seen on the screen a
    moment before its receipt says that it was (2.1.281: `/model` was told as `typed`)."""
    current = session.current
    entering = current is not None and current.id == message_id and current.state == "typed"
    return session.state is State.WAITING and session.waiting is not None and not entering


async def settled(message_id: str, session: Session, wait: float, until: Until = "answered") -> MessageRecord:
    """The message once it is settled, or has come as far as `until`, or the session waits for a person, or the time is up."""

    def asks() -> bool:
        waiting = session.waiting
        return session.state is State.WAITING and waiting is not None and not session.answering_itself

    with session.fates.awaited(message_id, until) as is_settled:
        await session.changed.wait_for(lambda: is_settled() or asks(), wait)
    record = session.store.message(message_id)
    assert record is not None
    return record
