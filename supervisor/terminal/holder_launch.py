"""Starting the process that becomes a holder: a fresh interpreter, or a spare one that has done its imports in advance.

A fresh one takes 40 ms until it spawns its child, half of what waking a session costs beyond the CLI itself (measured), so
one spare is kept once something was started. It waits for its folder on its standard input, and the end of that ends it:
it never outlives the supervisor. What must not regress: a spare that cannot be used costs a start those 40 ms and no more.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from supervisor.holder import files
from supervisor.holder.protocol import READY_FD

HOLDER = Path(__file__).resolve().parent.parent / "holder" / "main.py"
SPARE_AFTER_SECONDS = 0.6
"""How long after a start the next spare is made: the CLI that starts has the machine for itself until its prompt."""

SPARE_SECONDS = 1.0
"""A spare that has not begun by then (somebody has stopped it) is ended, and a fresh one does its work."""


@dataclass
class _Started:
    process: asyncio.subprocess.Process
    ready: int


async def _run(arguments: list[str], stdin: int, stderr: int) -> _Started:
    """`ready` is the end of a pipe on which the holder will report."""
    ready, report = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(HOLDER), *arguments),
            stdin=stdin,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=[report],
            env={**os.environ, READY_FD: str(report)},
        )
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(report)
    return _Started(process, ready)


async def _gone(started: _Started) -> int:
    """`ready`, once the starter has forked the holder, which it does at once."""
    try:
        await started.process.wait()
    except asyncio.CancelledError:
        started.process.kill()
        await started.process.wait()
        os.close(started.ready)
        raise
    return started.ready


async def begin(folder: Path) -> int:
    """Start a holder in this folder; the descriptor on which it reports, to be closed by the caller."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    log = os.open(folder / files.LOG, flags, 0o600)
    try:
        started = await _run([str(folder)], asyncio.subprocess.DEVNULL, log)
    finally:
        os.close(log)
    return await _gone(started)


class SparePool:
    """At most one spare. `close` it."""

    def __init__(self) -> None:
        self._spare: _Started | None = None
        self._making: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process that waits to be one."""
        return self._spare.process.pid if self._spare is not None else None

    async def begin(self, folder: Path) -> int:
        """As the function of this name, with the spare if there is one; another one is made in a while."""
        spare, self._spare = self._spare, None
        self._make_soon()
        if spare is not None and await self._hand_over(spare, folder):
            with suppress(TimeoutError):
                async with asyncio.timeout(SPARE_SECONDS):
                    ready = await _gone(spare)
                if spare.process.returncode == 0:
                    return ready
                os.close(ready)  # it was killed before it read its folder
        return await begin(folder)

    @staticmethod
    async def _hand_over(spare: _Started, folder: Path) -> bool:
        pipe = spare.process.stdin
        assert pipe is not None
        try:
            if spare.process.returncode is None:
                pipe.write(os.fsencode(folder) + b"\n")
                await pipe.drain()
                pipe.close()
                return True
        except (BrokenPipeError, ConnectionResetError):
            pass
        os.close(spare.ready)
        return False

    def _make_soon(self) -> None:
        if not self._closed and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make())

    async def _make(self) -> None:
        await asyncio.sleep(SPARE_AFTER_SECONDS)
        with suppress(OSError):  # no process to be had: the next start will say so, if it is still so then
            self._spare = await _run(["-"], asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL)

    async def close(self) -> None:
        """Let the spare go, and make no more."""
        self._closed = True
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        spare, self._spare = self._spare, None
        if spare is not None and spare.process.stdin is not None:
            spare.process.stdin.close()
            os.close(spare.ready)
            await spare.process.wait()
