"""A recap: Claude's summary of a conversation, asked for where its life is prolonged.

What must not regress: nothing is asked of a session that works, waits or has messages in its queue; and a life is prolonged
whether or not there is a recap, since legacy clients know no other way to do it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.bus.message_requests import SendMessage
from shared.bus.messages import SETTLED
from supervisor.pool.pool import Pool
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.idempotency import digest_of, message_of
from supervisor.store.store import MessageRecord

OP = "session.keep_alive"
PROMPT = "Please provide a brief summary of our conversation so far."

Settling = Callable[[str, Session, float], Awaitable[MessageRecord]]


@dataclass(frozen=True)
class Recap:
    """The summary; or in one word why there is none: the session's state, `timeout`, or what became of the question."""

    text: str | None = None
    skipped: str | None = None


async def ask(pool: Pool, session: Session, key: str | None, wait: float, settling: Settling) -> Recap:
    """Have Claude summarise the conversation, within `wait` seconds. A repeat with the same key asks no second time."""
    question = SendMessage(text=PROMPT, session_id=session.id, key=key)
    if message_of(pool.store, OP, question, digest_of(question)) is None:
        if session.state not in (State.IDLE, State.HIBERNATED):
            return Recap(skipped=session.state)
        if pool.store.count_open(session.id):
            return Recap(skipped=State.BUSY)
    _, message, _ = pool.send(question, op=OP)
    message = await settling(message.id, session, wait)
    if message.state == "answered":
        return Recap(text=message.reply)
    if message.state in SETTLED:
        return Recap(skipped=message.state)
    return Recap(skipped=State.WAITING if session.state is State.WAITING else "timeout")
