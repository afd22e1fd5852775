"""Everybody who looks at one session, and the one who types.

The audience follows its session from process to process: when one takes over, sleeps or ends, its members are told and
stay. Invariants: what a member gets is a snapshot and then every byte of output after it, or another snapshot; a
snapshot is made between two escape sequences, never within one; nothing that a member does or fails to do delays the
session; at most one member has the keyboard, and all know who.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shared.bus import session_events
from shared.bus import terminal_protocol as protocol
from shared.errors import Conflict, PilotlightError
from supervisor.delivery.keyboard import KeyboardQueue
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import now_ms
from supervisor.terminal.holder_client import HolderError
from supervisor.terminal.terminal import Terminal
from supervisor.viewers.member import Member, Size, Status

SEQUENCE_SECONDS = 0.05
"""How long a snapshot waits for the end of an escape sequence; then the output is taken as it is."""

CROPPED_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 1.0


class Audience:
    """The members of one session. `empty` is called when the last one has left."""

    def __init__(self, pool: Pool, managed: ManagedSession, empty: Callable[[], None]) -> None:
        self._pool = pool
        self._managed = managed
        self._empty = empty
        self._members: set[Member] = set()
        self._terminal: Terminal | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._next = 0
        self._alternate = False
        self._shown: Size = (0, 0)
        self._drawing_due: asyncio.TimerHandle | None = None
        self._patience: float | None = None
        self._cropped_at = 0.0
        self._writer: Member | None = None
        self._writer_since = 0
        self._base: Size | None = None
        self._keyboard = KeyboardQueue(lambda: self._managed.session)
        self._told = Status.of(managed.session)
        self._resizing: asyncio.Task[None] | None = None
        self._wanted: Size | None = None
        self._task = asyncio.create_task(self._follow(), name=f"audience-{managed.session.id}")

    @property
    def session(self) -> Session:
        """The session, as it is in memory now."""
        return self._managed.session

    # -- coming and going ------------------------------------------------------------------------------------------

    def join(self, member: Member, keyboard: bool = True) -> None:
        """Take a member in. It is told how things stand, and gets its snapshot at once if it can; and the keyboard, if it
        is free and `keyboard` asks for it."""
        member.stale = True
        self._look()
        if member.writes and keyboard and self._writer is None:
            self._give_keyboard(member, None)
        self._members.add(member)
        self._count()
        if member.count:
            self._note(session_events.Attached, member)
        member.tell(
            {
                **self._told.message(),
                **self._writer_message(member),
                "type": "welcome",
                "v": protocol.VERSION,
                "session": self.session.id,
                "mode": "write" if member.writes else "read",
            }
        )
        self.refresh()

    def leave(self, member: Member) -> None:
        """Let a member go."""
        if member not in self._members:
            return
        self._members.discard(member)
        if self._writer is member:
            self._keyboard.forget()
            self._give_keyboard(None, None)
        self._count()
        if member.count:
            self._note(session_events.Detached, member)
        if not self._members:
            self.close()
            self._empty()

    def recount(self, member: Member, count: int) -> None:
        """More or fewer people look through a member."""
        grown = count > member.count
        member.count = count
        self._count()
        self._note(session_events.Attached if grown else session_events.Detached, member)

    def close(self) -> None:
        """Stop following; the members have gone."""
        self._task.cancel()
        self._keyboard.stop()
        self._unlisten()
        if self._drawing_due is not None:
            self._drawing_due.cancel()

    def _count(self) -> None:
        self.session.attached = sum(member.count for member in self._members if member.writes)
        self.session.viewers = sum(member.count for member in self._members)
        self.session.writer = self._writer.actor if self._writer else None
        self.session.changed.notify()

    def _note(self, kind: type[session_events.Attached], member: Member) -> None:
        """Into the journal, with the number of those who look now."""
        mode = "write" if member.writes else "read"
        self.session.store.append(kind(actor=member.actor, mode=mode, viewers=self.session.viewers), self.session.id)

    # -- the keyboard ----------------------------------------------------------------------------------------------

    def steal(self, member: Member) -> None:
        """Give the keyboard to this member, whoever had it."""
        if member.writes and self._writer is not member:
            self._keyboard.forget()
            self._give_keyboard(member, self._writer)

    def release(self, member: Member) -> None:
        """Take the keyboard back."""
        if self._writer is member:
            self._give_keyboard(None, None)

    def type(self, member: Member, data: bytes, refused: Callable[[PilotlightError], None]) -> None:
        """Type for this member. Raise Conflict when the keyboard is somebody else's."""
        if self._writer is None and member.writes:
            self._give_keyboard(member, None)
        if self._writer is not member:
            who = self._writer.actor if self._writer else "nobody"
            raise Conflict(f"{who} has the keyboard.", code="not_writer")
        self._keyboard.type(data, refused)

    def resize(self, member: Member) -> None:
        """Take the size of this member's screen. Raise Conflict when the keyboard is somebody else's."""
        if self._writer is not member:
            raise Conflict("Only the one who has the keyboard may resize.", code="not_writer")
        self._want(member.size)

    def _give_keyboard(self, member: Member | None, robbed: Member | None) -> None:
        self._writer, self._writer_since = member, now_ms()
        self._count()
        change = session_events.WriterChange(
            writer=member.actor if member else None, from_=robbed.actor if robbed else None
        )
        self.session.store.append(change, self.session.id)
        for other in self._members:
            other.tell({"type": "writer", **self._writer_message(other)})
        if member is not None and any(member.size):
            self._want(member.size)
        elif member is None:
            self._want(self._base)

    def _writer_message(self, member: Member) -> dict[str, Any]:
        writer = {"actor": self._writer.actor, "since": self._writer_since} if self._writer else None
        return {"writer": writer, "you": writer is not None and self._writer is member}

    def _want(self, size: Size | None) -> None:
        """Have the terminal at this size; None leaves it as it is."""
        terminal = self.session.terminal
        if size is None or terminal is None:
            return
        if self._base is None:
            config = self.session.services.config().sessions
            self._base = terminal.preferred or (config.columns, config.rows)
        self._wanted = size
        if self._resizing is None or self._resizing.done():
            self._resizing = asyncio.create_task(self._resize(), name="audience-resize")

    async def _resize(self) -> None:
        while self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            terminal = self.session.terminal
            if terminal is not None:
                with suppress(HolderError):
                    await terminal.resize(*wanted)
        self._look()

    # -- following the session -------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            self._look()
            patience = LOOK_AGAIN_SECONDS if self.session.state is State.ENDED else None
            await self.session.changed.wait_for(self._changed, patience)
            self._find_again()

    def _changed(self) -> bool:
        session = self.session
        if session.terminal is not self._terminal or Status.of(session) != self._told:
            return True
        return self._terminal is not None and self._terminal.screen.size != self._shown

    def _find_again(self) -> None:
        """An ended session is dropped from memory, and is another object when it is reopened."""
        for managed in self._pool.managed_sessions():
            if managed.session.id == self.session.id and managed is not self._managed:
                self._managed = managed
                self._count()

    def _look(self) -> None:
        """Take in what has changed, and pass it on."""
        session = self.session
        if session.terminal is not self._terminal:
            self._take_terminal(session.terminal)
        elif self._terminal is not None and self._terminal.screen.size != self._shown:
            self._shown = self._terminal.screen.size
            self._all_stale()
        status = Status.of(session)
        if status != self._told:
            self._told = status
            for member in self._members:
                member.tell(status.message())
        self.refresh()

    def _take_terminal(self, terminal: Terminal | None) -> None:
        self._unlisten()
        self._unlisten = lambda: None
        self._terminal = terminal
        self._base = None
        if terminal is None:
            return
        self._next, self._shown = terminal.offset, terminal.screen.size
        self._alternate = terminal.screen.alternate
        self._unlisten = terminal.listen(self._output)
        self._all_stale()
        if self._writer is not None and any(self._writer.size):
            self._want(self._writer.size)

    def _all_stale(self) -> None:
        for member in self._members:
            member.stale = True

    def _output(self, offset: int, data: bytes) -> None:
        terminal = self._terminal
        if terminal is None:
            return
        alternate = terminal.screen.alternate
        if offset != self._next or alternate != self._alternate:
            # Bytes are missing, or the other screen has come back, which no drawing of this one contains.
            self._all_stale()
        self._next, self._alternate = offset + len(data), alternate
        frame = protocol.output(offset, data)
        waiting = False
        for member in self._members:
            if not member.stale and self._fits(member):
                member.output(offset, data, frame)
            else:
                member.stale = True
            waiting = waiting or member.stale or member.curious
        if waiting:
            self.refresh()

    def _fits(self, member: Member) -> bool:
        cols, rows = member.size
        return member is self._writer or not (cols and rows) or (cols >= self._shown[0] and rows >= self._shown[1])

    def refresh(self) -> None:
        """Draw for those who need it and can take it: between two sequences, and not too often for small screens."""
        terminal = self.session.terminal
        if terminal is None or terminal is not self._terminal or self._wanted is not None:
            return
        now = time.monotonic()
        needy = [member for member in self._members if (member.stale or member.curious) and not member.clogged]
        calm = now - self._cropped_at >= CROPPED_SECONDS
        due = [member for member in needy if calm or self._fits(member)]
        if due and not terminal.screen.between_sequences:
            self._patience = self._patience or now + SEQUENCE_SECONDS
            if now < self._patience:
                self._later(self._patience - now)
                return
        self._patience = None
        if due:
            self._draw(terminal, due)
        if len(due) < len(needy):
            self._later(CROPPED_SECONDS)

    def _draw(self, terminal: Terminal, members: list[Member]) -> None:
        screen = terminal.screen
        drawings: dict[Size, bytes] = {}
        for member in members:
            fits = self._fits(member)
            size = (0, 0) if fits else member.size
            if size not in drawings:
                drawings[size] = screen.draw(*size)
            if not fits:
                self._cropped_at = time.monotonic()
            head = {
                "type": "snapshot",
                "cols": screen.cols,
                "rows": screen.rows,
                "cursor": screen.cursor,
                "offset": terminal.offset,
                "title": screen.title,
                "generation": self.session.record.generation,
                "cropped": not fits,
                "asked": member.curious and not member.stale,
            }
            member.stale = member.curious = False
            member.snapshot(head, drawings[size])

    def _later(self, seconds: float) -> None:
        if self._drawing_due is None or self._drawing_due.cancelled() or self._drawing_due.when() <= _now():
            self._drawing_due = asyncio.get_running_loop().call_later(seconds, self.refresh)


def _now() -> float:
    return asyncio.get_running_loop().time()
