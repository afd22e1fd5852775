"""What a process for one message writes on its standard output, as text events: it has no screen, and its hooks tell a text only
when it is whole.

What must not regress: each piece is told once, also across restarts of ours; the position behind it is stored with it.
"""

from __future__ import annotations

import time

from shared.bus import message_events
from shared.errors import PilotlightError
from supervisor.claude import print_mode
from supervisor.claude.tail import Tail
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import State, StateEvent
from supervisor.store.store import MessageRecord

POSITION = "print"
AT_ONCE_BYTES = 4 * 1024 * 1024


class PrintStream:
    """Of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._begin(None)

    def _begin(self, printing: str | None) -> None:
        self._of = printing
        self._stream = print_mode.Stream()
        self._tail = Tail(self._session.dir / print_mode.STREAM)

    def read(self) -> None:
        """Take in what is new of the message under way. Raise StorageFailed; nothing is lost by it."""
        session, printing = self._session, self._session.record.process.printing
        if printing != self._of:
            self._begin(printing)
        message = session.current
        if message is None or message.id != printing or message.state != "submitted" or not self._tail.changed():
            return
        try:
            self._tell(message)
        except PilotlightError:
            self._begin(None)  # once more from the start, to the position that the database has
            raise

    def _tell(self, message: MessageRecord) -> None:
        session = self._session
        known = session.store.position(session.id, POSITION)
        with session.change():
            for line in self._tail.lines(AT_ONCE_BYTES):
                piece = self._stream.take(line.data)
                if piece is not None and line.end > known:
                    session.store.append(_said(piece, message), session.id)
            session.store.set_position(session.id, POSITION, max(known, self._tail.offset))
        receipts.progress(session, time.monotonic())
        session.changed.notify()


def _said(piece: print_mode.Piece, message: MessageRecord) -> message_events.Text:
    return message_events.Text(
        delta=piece.delta,
        index=piece.index,
        final=piece.final,
        message_id=piece.message_id,
        prompt_id=message.prompt_id,
        message=message.id,
    )


def note_turn(session: Session) -> None:
    """It is at work once its prompt was taken; its end is the end of its process."""
    under_way = session.current is not None and session.current.state == "submitted"
    if under_way and session.state is State.STARTING:
        session.apply(StateEvent.WORKING, "submitted")
