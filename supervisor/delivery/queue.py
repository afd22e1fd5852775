"""The queue of one session: one message at a time, in order, each handed to the carrier that can deliver it now.

What must not regress: what goes wrong with one message does not stop the next, and a message is given up only when nothing else
can come of it; a change of the way to deliver (`chat.mode`) loses none: what one carrier has begun it also ends.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from shared.errors import PilotlightError
from supervisor.lifecycle.ending import error_body
from supervisor.session import move, receipts
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.terminal.holder_client import HolderError

RETRY_SECONDS = 1.0


class Carrier(Protocol):
    """A way to deliver messages."""

    async def carry(self, message: MessageRecord) -> None:
        """Deliver the message that is next, and return when it has its fate, or is to be tried again. Raise PilotlightError: it
        waits when that is retryable, and has failed otherwise."""

    def put_back(self, message: MessageRecord) -> None:
        """The message has failed: nothing that was laid out for it is taken any more."""


def no_obstacle(session: Session) -> None:
    """What kept it from sending is over."""
    session.obstacle = None


def hold(session: Session, why: str) -> None:
    """This keeps it from sending; it is tried again."""
    session.obstacle = why


class Sender:
    """Takes messages from the queue of one session, in order, for ever."""

    def __init__(self, session: Session, interactive: Carrier, per_message: Carrier) -> None:
        self._session = session
        self._interactive, self._per_message = interactive, per_message
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._wanted.set()

    async def run(self) -> None:
        """Send until cancelled. What goes wrong with one message does not stop the next."""
        session = self._session
        while True:
            self._wanted.clear()
            pause = 0.0
            try:
                over = session.state is State.ENDED or move.leaves(session.record)
                first = None if over else session.store.next_message(session.id)
                if first is None:
                    await self._wanted.wait()
                    continue
                current = session.current
                message = current if current is not None and current.id == first.id else first
                pause = await self._try(message)
            except Exception:  # the boundary: a session whose sender has died would keep its queue for ever
                session.services.log.exception("sender_failed", extra={"fields": {"session": session.id}})
                pause = RETRY_SECONDS
            if pause:
                await asyncio.sleep(pause)

    def carrier(self, message: MessageRecord) -> Carrier:
        """Who delivers it: whoever has begun, or has the process that there is; otherwise as the session is set."""
        session = self._session
        if session.printing:
            return self._per_message
        begun = message.state in ("typed", "submitted") or receipts.is_claimed(session, message)
        if session.live and begun:
            return self._interactive
        return self._per_message if session.per_message else self._interactive

    async def _try(self, message: MessageRecord) -> float:
        """Send one message, or fail it when nothing else can come of it. Return how long to wait before going on."""
        session = self._session
        fields = {"session": session.id, "message": message.id}
        carrier = self.carrier(message)
        try:
            await carrier.carry(message)
        except PilotlightError as error:
            if error.retryable:
                session.obstacle = error.message
                session.services.log.info("message_waits", extra={"fields": {**fields, "why": error.error_code}})
                return min(5.0, float(error.data.get("retryAfter", RETRY_SECONDS)))
            self._fail(message, error, carrier)
        except HolderError as error:
            session.services.log.warning("delivery_interrupted", extra={"fields": {**fields, "why": str(error)}})
            session.obstacle = "The terminal of its process does not answer; it is tried again."
            return RETRY_SECONDS
        return 0.0

    def _fail(self, message: MessageRecord, error: PilotlightError, carrier: Carrier) -> None:
        session = self._session
        carrier.put_back(message)
        if not receipts.is_settled(session, message):
            receipts.step(session, message, "failed", error=error_body(error))
        receipts.let_go(session, message)
