"""Which appearance of which dialog is on the screen: what names a dialog, so that an answer reaches the one that was asked.

Two dialogs that look alike are two, and so is one that is asked again: each appearance has a number of its own, and the
status file's word about when Claude began to wait tells two apart that were drawn one right behind the other (measured:
it changes with every dialog). One that changes while it is up (a form, a list, a pointer) stays the same, and so does one that is
drawn by and by (measured under load: half of `/config` stood for long enough to be asked as a dialog of its own). What must not
regress: what decides something for Claude is the same only while its words are, wherever its pointer stands; and the status
file, which is behind the screen, does not make two of one that follows another at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from supervisor.claude import screen
from supervisor.claude.screen import ScreenReading
from supervisor.claude.status_file import Status
from supervisor.store.records import SessionRecord

UNTOLD = "other"
"""A screen of which nothing can be told: also one that is not all drawn yet, which a busy machine may leave standing so."""


@dataclass(frozen=True)
class Appearance:
    """One dialog that is on the screen. `stamp` is since when Claude says that it waits; `own` when the CLI offers it by
    itself, and no turn waits for it."""

    id: str
    screen_reading: ScreenReading
    stamp: int | None = None
    own: bool = False
    size: tuple[int, int] | None = None
    read: ScreenReading | None = None
    """What of it could be told last; None for a screen of which nothing could be told yet."""

    def is_up(
        self, screen_reading: ScreenReading, stamp: int | None, size: tuple[int, int] | None = None, own: bool = False
    ) -> bool:
        """Whether what the screen shows now is this one as it was seen, so that a key of ours would reach it. `own`: what is
        there now is known to be the CLI's own, which it may not have been at the first look (the status file is behind the
        screen); its title is all that has to stay."""
        if self._is_another(stamp):
            return False
        return screen.goes_on(self.screen_reading, screen_reading, own or self.own, resized=size != self.size)

    def goes_on(
        self, screen_reading: ScreenReading, stamp: int | None, size: tuple[int, int] | None = None, own: bool = False
    ) -> bool:
        """Whether what the screen shows now has the same name as this one: it is up, or one of both was not all drawn."""
        if self.is_up(screen_reading, stamp, size, own):
            return True
        half, before = screen_reading.kind == UNTOLD, self.screen_reading.kind == UNTOLD
        if half == before or self._is_another(stamp):
            return False
        if half:  # it is drawn anew, by and by
            return self.own and stamp is not None and stamp == self.stamp
        # There was nothing to choose before it was all drawn.
        return self.read is None or screen.goes_on(self.read, screen_reading, own or self.own)

    def _is_another(self, stamp: int | None) -> bool:
        return self.stamp is not None and stamp is not None and self.stamp != stamp

    def now(
        self, screen_reading: ScreenReading, stamp: int | None, own: bool, size: tuple[int, int] | None
    ) -> Appearance:
        """The same as it is at this look."""
        read = self.read if screen_reading.kind == UNTOLD else screen_reading
        return replace(self, screen_reading=screen_reading, stamp=stamp, own=own, size=size, read=read)


def stamp_of(status: Status | None) -> int | None:
    """Since when Claude says that it waits; None when it does not say that it does."""
    return (status.updated_at or None) if status is not None and status.status == "waiting" else None


def appearance(
    known: Appearance | None,
    record: SessionRecord,
    status: Status | None,
    screen_reading: ScreenReading,
    size: tuple[int, int] | None,
) -> Appearance:
    """The appearance that the screen shows, which may be `known`, that of the last look, or that from before a restart."""
    own = _is_own(record, status, screen_reading)
    stamp = _own_stamp(record, stamp_of(status), known.id if known is not None else record.asked)
    up = _again(known, record, screen_reading, stamp, size, own)
    if up is None:
        number = record.remembered.appearances + 1
        record.remembered = msgspec.structs.replace(record.remembered, appearances=number)
        name = f"{screen_reading.digest}.{record.generation}.{number}"
        up = _first(name, screen_reading, _own_stamp(record, stamp, None), own, size)
    if up.stamp is not None and record.remembered.stamped != (up.id, up.stamp):
        record.remembered = msgspec.structs.replace(record.remembered, stamped=(up.id, up.stamp))
    return up


def _again(
    known: Appearance | None,
    record: SessionRecord,
    screen_reading: ScreenReading,
    stamp: int | None,
    size: tuple[int, int] | None,
    own: bool,
) -> Appearance | None:
    """The one that was there at the last look, or before a restart, if it is still that."""
    if known is not None:
        if not known.goes_on(screen_reading, stamp, size, own):
            return None
        own, stamp = known.own or own, known.stamp or stamp
        return known.now(screen_reading, stamp, own, size)
    look, asked = record.remembered.asked_look, record.asked or ""
    if not asked.startswith("d_") or look is None or look[0] != screen_reading.digest:
        return None
    there = stamp is None or look[1] is None or stamp == look[1]
    if there and asked.split(".")[1:2] == [str(record.generation)]:
        return _first(asked, screen_reading, stamp, own, size)
    return None


def _first(
    name: str, screen_reading: ScreenReading, stamp: int | None, own: bool, size: tuple[int, int] | None
) -> Appearance:
    return Appearance(name, screen_reading).now(screen_reading, stamp, own, size)


def _own_stamp(record: SessionRecord, stamp: int | None, name: str | None) -> int | None:
    """The status file's word, unless it is still about a dialog that was there before the one of this name: it would be taken for
    this one's, and the next word for another dialog's."""
    before = record.remembered.stamped
    return None if before is not None and before[1] == stamp and before[0] != name else stamp


def forget(record: SessionRecord) -> None:
    """The dialog on the screen is over: if it is there once more, it is asked again."""
    record.remembered = msgspec.structs.replace(record.remembered, asked_look=None)


def _is_own(record: SessionRecord, status: Status | None, screen_reading: ScreenReading) -> bool:
    """Whether the CLI shows it by itself, as /config does, and nothing that Claude does depends on it."""
    subject = screen_reading.menu.subject if screen_reading.menu is not None else "dialog"
    if subject not in ("dialog", "setup", "rate_limit") or record.turn_prompt is not None:
        return False
    return status is None or status.waiting_for in (None, "dialog open")
