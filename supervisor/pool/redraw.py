"""Having Claude draw its screen anew while nothing can be told from it: a change of width by one and back.

A screen that makes no sense may have lost its beginning (a damaged ring), or Claude has left it blank (once on 2.1.205, behind an
interrupted `/compact`). Nothing can be typed meanwhile and messages wait, so it is done as soon as the state is `unknown`. What
must not regress: not while a person looks, who would see it flicker; ever more seldom while it does not help.
"""

from __future__ import annotations

from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.terminal.holder_client import HolderError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 30.0


class Redraw:
    """For one session."""

    def __init__(self, session: Session, background: BackgroundTasks) -> None:
        self._session = session
        self._background = background
        self._due = 0.0
        self._pause = FIRST_PAUSE_SECONDS

    def tend(self, now: float) -> None:
        """Begin when it is due. `now` is monotonic."""
        session = self._session
        if session.state is not State.UNKNOWN:
            self._due, self._pause = 0.0, FIRST_PAUSE_SECONDS
        elif session.responsive and session.attached == 0 and session.terminal is not None and now >= self._due:
            self._due, self._pause = now + self._pause, min(LONGEST_PAUSE_SECONDS, 2.0 * self._pause)
            self._background.do(self._redraw)

    async def _redraw(self) -> None:
        terminal = self._session.terminal
        if terminal is None:
            return
        cols, rows = terminal.screen.cols, terminal.screen.rows
        try:
            terminal.screen.reset()
            await terminal.resize(cols - 1, rows)
            await terminal.resize(cols, rows)
        except HolderError as error:
            fields = {"session": self._session.id, "why": str(error)}
            self._session.services.log.info("redraw_failed", extra={"fields": fields})
