"""The operations on a session's terminal beyond its keys."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.bus import messages, session_requests
from shared.bus.messages import Request
from shared.errors import Conflict, Unavailable
from supervisor.bus.operations.table import Row
from supervisor.holder import files
from supervisor.holder.ring import read_tail
from supervisor.lifecycle import one_message
from supervisor.pool.pool import Pool
from supervisor.session.session import Session
from supervisor.terminal.holder_client import HolderError
from supervisor.terminal.screen import Screen, history
from supervisor.terminal.terminal import Terminal
from supervisor.viewers.recorder import Recorder


class TerminalOps:
    """The handlers."""

    def __init__(self, pool: Pool, recorder: Recorder) -> None:
        self._pool = pool
        self._recorder = recorder

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("session.screen", session_requests.ScreenRequest, self._screen),
            ("session.resize", session_requests.Resize, self._resize),
            ("session.recording", session_requests.RecordingRequest, self._recording),
        ]

    async def _screen(self, arguments: session_requests.ScreenRequest, _: Request) -> Any:
        session, terminal = self._seen(arguments.session_id)
        screen = terminal.screen
        return messages.Screen(
            session_id=session.id,
            cols=screen.cols,
            rows=screen.rows,
            cursor=screen.cursor,
            text=await self._history(session, screen) if arguments.history else screen.text(),
            html=screen.html() if arguments.html else None,
            title=screen.title,
            offset=terminal.offset,
        )

    async def _history(self, session: Session, screen: Screen) -> str:
        """From the holder's ring, on another thread: it is a megabyte."""
        ring = session.dir / files.RING
        try:
            return await asyncio.to_thread(lambda: history(read_tail(str(ring)).data, screen.cols, screen.rows))
        except (OSError, ValueError) as error:
            raise Unavailable(f"The terminal's output cannot be read: {error}.", code="no_history") from error

    async def _resize(self, arguments: session_requests.Resize, _: Request) -> Any:
        session, terminal = self._seen(arguments.session_id)
        if session.writer is not None:
            raise Conflict(f"{session.writer} is at the terminal: its size is that of their window.", code="not_writer")
        try:
            await terminal.resize(arguments.cols, arguments.rows)
        except HolderError as error:
            raise Unavailable(f"The terminal was not resized: {error.message}.", code="not_resized") from error
        terminal.preferred = terminal.screen.size
        return session.view()

    async def _recording(self, arguments: session_requests.RecordingRequest, request: Request) -> Any:
        session = self._pool.managed(arguments.session_id).session
        if arguments.start is not None:
            self._recorder.switch(session, arguments.start, request.actor)
        return self._recorder.view(session)

    def _seen(self, session_id: str) -> tuple[Session, Terminal]:
        session = self._pool.managed(session_id).session
        if session.printing:
            raise one_message.refusal("A terminal")
        if session.terminal is None:
            raise Conflict(f"The session is {session.state}: it has no screen.", code="no_process")
        return session, session.terminal
