"""The folder-trust dialog of a session that was created with `trust`: answered by itself, once a process, and only that."""

from __future__ import annotations

from shared.errors import PilotlightError
from supervisor.claude import screen
from supervisor.delivery.answer import choose
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import TRUST_TRIES, Session
from supervisor.terminal.holder_client import HolderError


class TrustDialog:
    """Answers for one session."""

    def __init__(self, session: Session, background: BackgroundTasks) -> None:
        self._session = session
        self._background = background
        self._tended: int | None = None
        """The generation of the process whose dialog was tended; a new process asks anew."""

    def tend(self) -> None:
        """Answer the folder-trust dialog, and only that, when the session was created with `trust`."""
        session = self._session
        if (
            self._tended == session.record.generation
            or not session.record.trust
            or session.terminal is None
            or session.record.ready_once
        ):
            return
        screen_reading = session.screen_reading()
        choice = screen.trust_choice(screen_reading.menu) if screen_reading.menu is not None else None
        if choice is None:
            return
        self._tended = session.record.generation
        self._background.do(lambda: self._answer(screen_reading, choice.id))

    async def _answer(self, screen_reading: screen.ScreenReading, choice: str) -> None:
        session = self._session
        if session.waiting is not None:
            session.begin_answer(session.waiting.id)
        try:
            await choose(session, screen_reading, choice)
        except (PilotlightError, HolderError) as error:
            session.trust_failures += 1
            if session.trust_failures < TRUST_TRIES:
                self._tended = None
            session.services.log.warning(
                "trust_not_answered", extra={"fields": {"session": session.id, "why": str(error)}}
            )
