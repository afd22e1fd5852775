"""Claude's dialog about a usage limit, which comes up by itself: left by Esc once our own pause is over.

While the pause lasts it is a person's: it may offer another model, or credits. Behind that it would hold the queue, and the
session its place, for ever. What must not regress: nothing but Esc is pressed, which is its "Stop and wait for limit to
reset"; and no other dialog is left so.
"""

from __future__ import annotations

from shared.bus.messages import Waiting
from shared.errors import PilotlightError
from supervisor.delivery import answer
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.terminal.holder_client import HolderError
from supervisor.waiting.backoff import is_held, is_hold

BY = "pilotlight"


class LimitDialog:
    """Leaves it in one session."""

    def __init__(self, session: Session, background: BackgroundTasks) -> None:
        self._session = session
        self._background = background
        self._left: str | None = None
        """The dialog that was left: once, whatever comes of it."""

    def tend(self) -> None:
        """Leave it if it is time."""
        session, waiting = self._session, self._session.waiting
        if waiting is None or waiting.kind != "rate_limit" or is_hold(waiting.id) or waiting.id == self._left:
            return
        record, status = session.record, session.status
        own = record.turn_prompt is None and status is not None and status.waiting_for == "dialog open"
        over = record.held_for is not None and not is_held(record)
        if own and over:
            self._left = waiting.id
            self._background.do(lambda: self._leave(waiting))

    async def _leave(self, waiting: Waiting) -> None:
        try:
            await answer.leave(self._session, waiting, BY)
        except (PilotlightError, HolderError) as error:
            fields = {"session": self._session.id, "why": str(error)}
            self._session.services.log.warning("limit_dialog_stays", extra={"fields": fields})
