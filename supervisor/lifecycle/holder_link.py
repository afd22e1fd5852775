"""The connection to a session's holder: made, lost, and tried again for as long as the holder lives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shared.bus import trouble_events
from supervisor.lifecycle import conversation_lock, shared_conversation
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.state.states import StateEvent
from supervisor.terminal.holder_client import HolderError, HolderTimeout
from supervisor.terminal.terminal import CONNECT_SECONDS, Terminal

RECONNECT_SECONDS = 1.0


class Hearer(Protocol):
    """Who is told that a process has ended, or that its holder cannot be reached."""

    def exited(self, generation: int, exit_info: dict[str, Any]) -> None:
        """The holder has said how its child ended."""

    def lost(self, generation: int) -> None:
        """The connection was closed from the other side."""


class HolderLink:
    """The connection of one session."""

    def __init__(self, session: Session, background: BackgroundTasks, hearer: Hearer) -> None:
        self._session = session
        self._background = background
        self._hearer = hearer

    async def connect(self, socket: Path, patience: float = CONNECT_SECONDS) -> None:
        """Take the session's terminal up. A holder that is too slow is tried again; one that is gone is told to the hearer."""
        session = self._session
        generation = session.record.generation
        config = session.services.config().sessions
        terminal = Terminal(
            config.columns,
            config.rows,
            on_change=session.changed.notify,
            on_exit=lambda exit_info: self._hearer.exited(generation, exit_info),
            on_lost=lambda: self._hearer.lost(generation),
        )
        try:
            await terminal.connect(socket, patience)
        except HolderTimeout:
            await terminal.close()
            self.unanswered(socket, say=patience >= CONNECT_SECONDS)
            return
        except HolderError as error:
            await terminal.close()
            if error.code != "exited":  # `on_exit` has been told
                self._hearer.lost(generation)
            return
        session.terminal = terminal
        session.responsive = True
        session.locked = None if session.record.conversations else session.record.conversation_id
        if terminal.outdated and session.record.process.stale is None:
            with session.change():
                session.record.process = msgspec.structs.replace(session.record.process, stale="upgrade")
                session.store.save_session(session.record)
        if "unresponsive" in session.health:
            session.store.append(trouble_events.Responsive(holder=session.record.holder), session.id)
            session.health.end("unresponsive")
        session.changed.notify()

    def follow_conversation(self) -> None:
        """The process has gone on to another conversation: its holder locks that one, and lets go of the one before."""
        self._session.locked = self._session.record.conversation_id
        self._background.do(self._lock_anew)

    async def _lock_anew(self) -> None:
        session = self._session
        if session.terminal is None:
            return
        try:
            await session.terminal.lock(conversation_lock.of(session))
        except HolderError as error:
            # An older holder cannot; then only the CLI's own status file keeps others away.
            if error.code == "locked":
                shared_conversation.begin(session)
            elif error.code != "unknown_op":
                raise

    def unresponsive(self) -> None:
        """The holder does not answer: say so, let its connection go and try again for ever."""
        session = self._session
        terminal = _taken(session)
        if terminal is not None and session.record.socket:
            self._background.do(terminal.close)
            self.unanswered(Path(session.record.socket))

    def unanswered(self, socket: Path, say: bool = True) -> None:
        """The holder lives and does not answer: say so, unless it had too little time for that, and try again for ever."""
        session = self._session
        session.responsive = False
        generation = session.record.generation
        self._background.do(lambda: self._reconnect(generation, socket))  # also when the database takes no word of it
        if say and "unresponsive" not in session.health:
            session.store.append(trouble_events.Unresponsive(holder=session.record.holder), session.id)
            session.health.begin("unresponsive")
        session.apply(StateEvent.LOST_SIGHT, "holder_unresponsive")
        session.changed.notify()

    async def _reconnect(self, generation: int, socket: Path) -> None:
        await asyncio.sleep(RECONNECT_SECONDS)
        session = self._session
        if session.terminal is None and session.live and session.record.generation == generation:
            await self.connect(socket)


async def disconnect(session: Session) -> None:
    """Let go of the session's terminal, if it has one; its holder lives on."""
    if (terminal := _taken(session)) is not None:
        await terminal.close()


def _taken(session: Session) -> Terminal | None:
    """Its terminal, which is the session's no more: whoever takes it closes it."""
    terminal, session.terminal = session.terminal, None
    return terminal
