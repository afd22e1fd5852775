"""What is typed into the child's terminal: in order, each id at most once, and never waiting.

A child that does not read fills the pty after some kilobytes (failures.md 9). The holder must stay responsive, so a
write is queued, goes out as the terminal takes it, and ends at its deadline with a count of what did go out. What must
not regress: no text is typed twice for one id, not even when its writer was disconnected and asks again.
Standard library only: the holder imports this.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_REMEMBERED = 4096
_MAX_QUEUED = 64
_RETRY_EVERY = 0.02

Reply = Callable[[dict[str, Any]], None]


class _Write:
    def __init__(self, id: str, data: bytes, deadline: float, reply: Reply) -> None:
        self.id = id
        self.rest = memoryview(data)
        self.written = 0
        self.deadline = deadline
        self.replies = [reply]


class Keyboard:
    """The queue of writes to one pty and the memory of those that are over."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._queue: list[_Write] = []
        # A success is kept as its count alone: 4096 small dictionaries would cost this process a megabyte.
        self._results: dict[str, int | dict[str, Any]] = {}
        self.paused = False
        self._closed: str | None = None

    @property
    def pending(self) -> int:
        return len(self._queue)

    def next_try(self, now: float) -> float:
        """When to pump again. Polled: Linux does not always say when the other side of a pty has made room."""
        return now + _RETRY_EVERY if self._queue else float("inf")

    def submit(self, id: str, data: bytes, timeout: float, reply: Reply, now: float) -> None:
        """`reply` is called once, now or later."""
        if (result := self._results.get(id)) is not None:
            reply({**(_success(result) if isinstance(result, int) else result), "duplicate": True})
            return
        for write in self._queue:
            if write.id == id:
                write.replies.append(lambda result: reply({**result, "duplicate": True}))
                return
        if self._closed:
            reply(_failure(self._closed, "nobody reads this terminal", 0))
            return
        if len(self._queue) >= _MAX_QUEUED:
            reply(_failure("busy", "too many writes are waiting; nothing was typed", 0))
            return
        self._queue.append(_Write(id, data, now + timeout, reply))
        self.pump(now)

    def pump(self, now: float) -> None:
        """Types what the terminal takes and ends what is late."""
        for write in [write for write in self._queue if write.deadline <= now]:
            self._finish(write, _failure("timeout", "the child does not read its terminal", write.written))
        while self._queue and not self.paused:
            write = self._queue[0]
            try:
                count = os.write(self._fd, write.rest) if write.rest else 0
            except BlockingIOError:
                return
            except OSError as error:
                self._finish(write, _failure("tty_closed", str(error), write.written))
                continue
            write.rest = write.rest[count:]
            write.written += count
            if not write.rest:
                self._finish(write, _success(write.written))
            elif count == 0:
                return

    def open(self) -> None:
        self.paused = False
        self._closed = None

    def close(self, why: str) -> None:
        """Ends every waiting write and refuses new ones, with the code `why`, until `open`."""
        self._closed = why
        for write in list(self._queue):
            self._finish(write, _failure(why, "nobody reads this terminal", write.written))

    def _finish(self, write: _Write, result: dict[str, Any]) -> None:
        self._queue.remove(write)
        if result["ok"] or write.written:  # of what failed before its first byte nothing can be typed twice
            self._results[write.id] = write.written if result["ok"] else result
        while len(self._results) > _REMEMBERED:
            del self._results[next(iter(self._results))]
        for reply in write.replies:
            reply(result)


def _success(written: int) -> dict[str, Any]:
    return {"ok": True, "written": written}


def _failure(code: str, message: str, written: int) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "written": written}}
