"""Recordings of terminals: what was on the screen, never what was typed, within bounds of size and age.

A recording is `recording.cast` in the session's folder. When it is half as big, or half as old, as the bounds allow, it
becomes `recording.old.cast`, in place of the one before, and a new one begins with a drawing of the screen: so both
together keep within the bounds, and each can be played by itself. A disk that is full stops the recording, and neither
the session nor the supervisor; it goes on, with a new drawing of the screen, when there is room again.
"""

from __future__ import annotations

import asyncio
import codecs
import errno
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from shared import asciicast
from shared.bus import session_events
from shared.errors import StorageFailed
from shared.foreign_file import Unreadable, odd
from supervisor.pool.pool import Pool
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.viewers.audience import Audience
from supervisor.viewers.member import Size
from supervisor.viewers.server import Viewers

NAME, OLD_NAME = "recording.cast", "recording.old.cast"
LOOK_SECONDS = 1.0
SWEEP_SECONDS = 600.0
AGAIN_SECONDS = 3.0
"""How long after a failure the recorder leaves a session alone."""

HEADER_BYTES = 64 * 1024


class Recording:
    """The recording of one session: a member of its audience."""

    def __init__(self, folder: Path, max_bytes: int, max_seconds: float) -> None:
        self._folder = folder
        self._max_bytes, self._max_seconds = max_bytes // 2, max_seconds / 2
        self._file: BinaryIO | None = None
        self._began = 0
        self._bytes = 0
        self._shown: Size = (0, 0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.count = 0
        self.writes = False
        self.actor = "recorder"
        self.stale = True
        self.curious = False
        self.failed: OSError | None = None

    @property
    def size(self) -> Size:
        """It takes the session's."""
        return (0, 0)

    @property
    def under_way(self) -> bool:
        """Whether it has begun and takes what comes."""
        return self._file is not None

    @property
    def clogged(self) -> bool:
        """A file takes everything, or has failed."""
        return self.failed is not None

    def output(self, offset: int, data: bytes, frame: bytes) -> None:
        """Write down."""
        self._write("o", self._decoder.decode(data))
        if self._bytes > self._max_bytes or time.time() - self._began > self._max_seconds:
            self._rotate()

    def snapshot(self, head: dict[str, Any], drawing: bytes) -> None:
        """Begin, or go on after a break, with the whole screen."""
        size = (head["cols"], head["rows"])
        self._decoder.reset()
        try:
            if self._file is None:
                self._open(size, head["title"])
        except OSError as error:
            self._fail(error)
            return
        if size != self._shown:
            self._shown = size
            self._write("r", f"{size[0]}x{size[1]}")
        self._write("o", drawing.decode("utf-8", "replace"))

    def tell(self, message: dict[str, Any]) -> None:
        """The screen tells all."""

    def close(self) -> None:
        """End it; it can be continued."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self, size: Size, title: str | None) -> None:
        path = self._folder / NAME
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        if reason := odd(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unreadable(path, reason)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            head = asciicast.read_header(self._file.readline(HEADER_BYTES))
            self._began, self._shown = head["timestamp"], (0, 0)
            self._bytes = _cut_torn_line(self._file)
        except ValueError:
            self._file.truncate(0)
            self._file.seek(0)
            self._began, self._shown = int(time.time()), size
            line = asciicast.header(*size, self._began, title)
            _write_whole(self._file, line)
            self._bytes = len(line)

    def _write(self, kind: str, text: str) -> None:
        if self._file is None or not text:
            return
        line = asciicast.event(max(0.0, time.time() - self._began), kind, text)
        try:
            _write_whole(self._file, line)
        except OSError as error:
            self._fail(error)
            return
        self._bytes += len(line)

    def _rotate(self) -> None:
        self.close()
        self.stale = True
        try:
            (self._folder / NAME).replace(self._folder / OLD_NAME)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failed = error
        self.close()


class Recorder:
    """Sees to it that the sessions that are to be recorded are."""

    def __init__(self, pool: Pool, viewers: Viewers, log: logging.Logger) -> None:
        self._pool = pool
        self._viewers = viewers
        self._log = log
        self._running: dict[str, tuple[Recording, Audience]] = {}
        self._paused_until: dict[str, float] = {}
        self._failing: dict[str, str | None] = {}
        """Why the recording of a session cannot be written, until the journal has been told; then None."""

        self._swept_at = 0.0

    async def run(self) -> None:
        """Begin, end and sweep until cancelled."""
        try:
            while True:
                self.look()
                if time.monotonic() - self._swept_at > SWEEP_SECONDS or not self._swept_at:
                    self._swept_at = time.monotonic()
                    oldest = self._oldest()
                    await asyncio.to_thread(self._surely, "sweep", partial(self._sweep, oldest))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for recording, _ in self._running.values():
                recording.close()

    def look(self) -> None:
        """Compare what is recorded with what is to be."""
        sessions = {session.id: session for session in self._pool.sessions()}
        for session_id in [*sessions, *(self._running.keys() - sessions)]:
            if time.monotonic() < self._paused_until.get(session_id, 0.0):
                continue
            self._paused_until.pop(session_id, None)
            if not self._surely(session_id, partial(self._look_at, session_id, sessions.get(session_id))):
                self._paused_until[session_id] = time.monotonic() + AGAIN_SECONDS
        for gone in self._failing.keys() - sessions:
            del self._failing[gone]

    def _surely(self, what: str, step: Callable[[], None]) -> bool:
        """The boundary: what fails for one session stops no other, and never the supervisor. Whether it succeeded."""
        try:
            step()
        except StorageFailed as error:
            self._log.warning("recorder_refused", extra={"fields": {"session": what, "why": error.message}})
        except Exception:
            self._log.exception("recorder_failed", extra={"fields": {"session": what}})
        else:
            return True
        return False

    def _look_at(self, session_id: str, session: Session | None) -> None:
        recording = self._running[session_id][0] if session_id in self._running else None
        if recording is None:
            if session is not None and session.terminal is not None and self._wanted(session):
                self._begin(session)
        elif session is None or session.state is State.ENDED or not self._wanted(session):
            self._end(session_id)
        elif recording.failed is not None:
            self._pause(session, recording.failed)
        elif session_id in self._failing and recording.under_way:
            with session.store.transaction():
                self._tell(session, self._failing[session_id])
                session.store.append(session_events.Recording(recording=True), session_id)
            del self._failing[session_id]

    def switch(self, session: Session, on: bool, actor: str) -> None:
        """Record this session from now on, or no more; kept across restarts, with who wanted it."""
        with session.change(durable=True):
            session.record.intent = msgspec.structs.replace(session.record.intent, recording=on)
            session.store.save_session(session.record)
            session.store.append(session_events.Recording(recording=on, by=actor), session.id)
        self._paused_until.pop(session.id, None)
        self.look()

    def view(self, session: Session) -> dict[str, Any]:
        """Whether it is recorded, and the files that there are, oldest first."""
        files = [path for name in (OLD_NAME, NAME) if (path := session.dir / name).exists()]
        return {
            "recording": session.id in self._running,
            "files": [str(path) for path in files],
            "bytes": sum(path.stat().st_size for path in files),
        }

    def _wanted(self, session: Session) -> bool:
        own = session.record.intent.recording
        return self._pool.services.config().sessions.recording if own is None else own

    def _begin(self, session: Session) -> None:
        config = self._pool.services.config().sessions
        recording = Recording(
            session.dir, int(config.recording_max_mb * 1024 * 1024), config.recording_days * 24 * 3600.0
        )
        audience = self._viewers.audience(session.id)
        self._running[session.id] = (recording, audience)
        audience.join(recording)

    def _end(self, session_id: str) -> None:
        recording, audience = self._running.pop(session_id)
        audience.leave(recording)
        recording.close()

    def _pause(self, session: Session, error: OSError) -> None:
        """Say once that it fails, at the latest when it goes on, since the journal may be on the same disk; try again later."""
        self._end(session.id)
        self._paused_until[session.id] = time.monotonic() + AGAIN_SECONDS
        if session.id not in self._failing:
            self._failing[session.id] = f"The recording cannot be written: {error.strerror}."
            self._log.error("recording_failed", extra={"fields": {"session": session.id, "why": error.strerror}})
        self._tell(session, self._failing[session.id])
        self._failing[session.id] = None

    @staticmethod
    def _tell(session: Session, why: str | None) -> None:
        if why is not None:
            session.store.append(session_events.Recording(recording=False, error=why), session.id)

    def _oldest(self) -> float:
        """When a recording must have been written last to be kept, in seconds since the epoch."""
        days = self._pool.services.config().sessions.recording_days
        return self._pool.store.removal_ms() / 1000.0 - days * 24 * 3600.0

    def _sweep(self, oldest: float) -> None:
        for path in self._pool.services.paths.sessions_dir.glob("*/recording*.cast"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except OSError:
                continue


def _write_whole(file: BinaryIO, line: bytes) -> None:
    """A disk that is nearly full takes a part of a line without a word."""
    if file.write(line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _cut_torn_line(file: BinaryIO) -> int:
    """Stand at the end of a file's last whole line; return how long the file is now."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - 4 * 1024 * 1024)
    file.seek(start)
    end = start + file.read().rfind(b"\n") + 1
    file.truncate(end)
    return file.seek(end)
