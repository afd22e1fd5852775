"""The second way to deliver: one process for one message (`claude -p --resume`), for a CLI that cannot be driven.

The same queue, receipts, conversation lock and holder as the interactive one, so a supervisor that dies in the midst of a message
finds its process again, or what it has said. What must not regress: a change of the way in either direction loses no conversation
and no message; a process that is at work is left to end its turn, and one that shows nothing that we know, with no turn, is
ended; what needs a terminal or a person is refused with a sentence.
"""

from __future__ import annotations

import time

from shared.config import PermissionRule
from shared.errors import Conflict, Unavailable
from supervisor.delivery import chat_mode, interrupt, queue
from supervisor.lifecycle import one_message, session_folder
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.waiting.backoff import is_held

UNSEEN_SECONDS = 3.0
"""How long a screen without a turn must make no sense before its process is ended for `per_message`."""

PROCESS_SECONDS = 0.5
NOBODY_TO_ASK = PermissionRule(
    tool="*",
    answer="deny",
    message="Nobody can be asked: this session delivers each message by a process of its own. A rule of permissions.rules can "
    "allow it, or the session can be set to interactive.",
)
"""What is answered to a request that no rule answers. 2.1.197 does not ask here, and refuses by itself."""


class PerMessageCarrier:
    """Delivers messages of one session, each by a process of its own."""

    def __init__(self, session: Session, lifecycle: Lifecycle) -> None:
        self._session = session
        self._lifecycle = lifecycle

    def put_back(self, message: MessageRecord) -> None:
        """As `Carrier.put_back`."""
        (self._session.dir / "outbox" / f"{message.id}.pending").unlink(missing_ok=True)

    async def carry(self, message: MessageRecord) -> None:
        """As `Carrier.carry`."""
        session = self._session
        if session.live and not session.printing:
            raise Unavailable(
                "The interactive process is still there: it ends its turn first, and what keeps it awake.",
                code="interactive_at_work",
            )
        if session.live:
            await session.changed.wait_for(lambda: not session.live, None)
            return
        if message.state == "submitted" or receipts.is_claimed(session, message):
            await self._find_again(message)
            return
        self._refuse(message)
        if is_held(session.record):
            raise Unavailable(
                "Claude's service has refused the last message, and is left alone for a while.", code="held"
            )
        chat_mode.take(session, message.mode)
        queue.no_obstacle(session)
        await self._lifecycle.start_for(message)

    def _refuse(self, message: MessageRecord) -> None:
        if message.kind == "command":
            raise one_message.refusal("A slash command")
        session_folder.require_files(message)
        self._session.check_mentions(message.prompt, message.confined)

    async def _find_again(self, message: MessageRecord) -> None:
        """A process had taken it that nobody knows of any more: it lives, or the logs say what became of it."""
        session = self._session
        if not await self._lifecycle.take_over():
            receipts.take_up(session, message)
            session.logs.read()
            receipts.conclude_cut_off(session, time.monotonic())


async def release(session: Session, lifecycle: Lifecycle) -> None:
    """End the interactive process of a session that has gone over to `per_message`, as soon as nothing is lost by it."""
    strange_since: float | None = None
    while session.per_message and session.live and not session.printing:
        if _makes_no_sense(session):
            strange_since = strange_since or time.monotonic()
            if time.monotonic() - strange_since >= UNSEEN_SECONDS:
                await lifecycle.suspend("per_message")
                return
        else:
            strange_since = None
        if session.state is State.IDLE:
            try:
                await lifecycle.hibernate("per_message", brief=True)
                return
            except Conflict:
                pass  # somebody is there, or something runs: looked at again
        await session.changed.wait_for(lambda: not session.live or not session.per_message, PROCESS_SECONDS)


def _makes_no_sense(session: Session) -> bool:
    """Whether nothing that is known runs in it: it starts, is not recognised, or shows a dialog that no turn has asked."""
    asks = session.state is State.WAITING and session.record.turn_prompt is None
    return session.state in (State.STARTING, State.UNKNOWN) or asks


async def interrupt_turn(session: Session, lifecycle: Lifecycle) -> str:
    """End the turn that runs; one that has a process of its own ends with that. Return what ended it. Raise as
    `interrupt.interrupt`."""
    if not session.printing:
        return await interrupt.interrupt(session)
    message = session.current
    await session.changed.wait_for(lambda: not session.printing or _runs(session), interrupt.SUBMITTED_SECONDS)
    if session.current is not message or not _runs(session):
        raise Conflict("Nothing runs that could be interrupted.", code="nothing_runs")
    await lifecycle.suspend("interrupted")
    return "stopped"


def _runs(session: Session) -> bool:
    return session.current is not None and session.current.state == "submitted"
