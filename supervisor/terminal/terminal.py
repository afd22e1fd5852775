"""The terminal of one live session: its holder's connection, its screen, and what the screen shows now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.claude import screen
from supervisor.holder.protocol import PROTOCOL
from supervisor.terminal import queries
from supervisor.terminal.holder_client import HolderClient, HolderError, HolderTimeout
from supervisor.terminal.screen import Screen, clamp

CONNECT_SECONDS = 3.0
WRITE_SECONDS = 5.0
SETTLE_SECONDS = 0.012
"""A screen that changed this long ago is no longer in the middle of a redraw (one frame of the CLI is one write)."""

__all__ = ["HolderError", "HolderTimeout", "Terminal"]


class Terminal:
    """One pty, seen from the supervisor. `on_change` after output, `on_exit` once the child is gone, `on_lost` when the
    holder cannot be reached any more."""

    def __init__(
        self,
        cols: int,
        rows: int,
        on_change: Callable[[], None],
        on_exit: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.screen = Screen(cols, rows)
        self.offset = 0
        self.output_at = 0.0
        self.drawn_at = 0.0
        """When the child last wrote; `output_at` is also when its screen was wrapped anew."""

        self.preferred: tuple[int, int] | None = None
        """The size that was asked for over the bus; None: the configured one. A person's size is not kept."""

        self._on_change, self._on_exit, self._on_lost = on_change, on_exit, on_lost
        self._client: HolderClient | None = None
        self._caught_up = asyncio.Event()
        self._screen_reading: tuple[int, screen.ScreenReading] = (-1, screen.ScreenReading("blank"))
        self._listeners: list[Callable[[int, bytes], None]] = []
        self._query: queries.FirstQuery | None = None
        self._answering: asyncio.Task[None] | None = None

    async def connect(self, socket: Path, patience: float = CONNECT_SECONDS) -> None:
        """Connect to the holder and rebuild the screen from its ring; returns once the screen shows the present, since
        one from the past could be taken for a prompt box. Raise HolderError or HolderTimeout."""
        client = await HolderClient.connect(
            socket,
            on_output=self._output,
            on_gap=lambda *_: self.screen.reset(),
            on_exit=self._on_exit,
            on_lost=self._on_lost,
            timeout=patience,
        )
        self._client, self._query = client, queries.FirstQuery(client.info.ring_end)
        try:
            async with asyncio.timeout(patience):
                start = await client.subscribe(0)
                self.offset = max(start, self.offset)  # the first output may have come with the answer
                while self.offset < client.info.ring_end:
                    self._caught_up.clear()
                    await self._caught_up.wait()
        except TimeoutError:
            raise HolderTimeout(f"the ring of {socket} was not replayed") from None

    def _output(self, offset: int, data: bytes) -> None:
        self.offset = offset + len(data)
        self._caught_up.set()
        self.output_at = self.drawn_at = time.monotonic()
        self.screen.feed(data)
        for listener in tuple(self._listeners):
            listener(offset, data)
        if self._query is not None and self._query.asked(offset, data):
            self._answering = asyncio.create_task(self._answer(offset), name="terminal answer")
        self._on_change()

    async def _answer(self, offset: int) -> None:
        with suppress(HolderError, HolderTimeout):  # without it Claude waits a little
            await self.press(f"da1:{offset}", queries.ANSWER)

    def listen(self, listener: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Hear raw output from now on; the result stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def outdated(self) -> bool:
        """Whether its holder was started by another version of ours."""
        return self._connected().info.protocol != PROTOCOL

    @property
    def settled(self) -> bool:
        """Whether the screen is not in the middle of a redraw."""
        return time.monotonic() - self.output_at >= SETTLE_SECONDS

    def screen_reading(self) -> screen.ScreenReading:
        """What the screen shows now."""
        version, screen_reading = self._screen_reading
        if version != self.screen.version:  # asked several times a look, and each question to the emulator costs
            screen_reading = screen.read(self.screen.lines(), self.screen.cursor, self.screen.is_faint)
            self._screen_reading = (self.screen.version, screen_reading)
        return screen_reading

    async def press(self, write_id: str, data: bytes) -> None:
        """Type bytes, at most once per `write_id`, however often this is called."""
        await self._connected().write(write_id, data, timeout=WRITE_SECONDS)

    async def resize(self, cols: int, rows: int) -> None:
        """Change the size of pty and screen; nothing happens when they have it. The child draws itself again."""
        before, wanted = (self.screen.cols, self.screen.rows), clamp(cols, rows)
        if wanted == before:
            return
        self.output_at = time.monotonic()  # what it shows is wrapped anew, and not yet what the child will draw
        self.screen.resize(*wanted)  # first: what the child draws for the new size may come with the holder's answer
        self._on_change()
        try:
            await self._connected().resize(*wanted)
        except HolderError:
            self.screen.resize(*before)
            self._on_change()
            raise

    async def lock(self, path: Path) -> None:
        """Have the holder keep this lock instead of the one that it has."""
        await self._connected().lock([str(path)])

    async def stop(self, grace: float) -> None:
        """HUP, TERM, KILL over the whole tree, `grace` seconds apart; the exit is reported through `on_exit`."""
        await self._connected().stop(grace)

    async def responds(self) -> bool:
        """Whether the holder answers."""
        try:
            await self._connected().stat()
        except (HolderTimeout, HolderError):
            return False
        return True

    async def close(self) -> None:
        """Let the holder go; it lives on."""
        client, self._client = self._client, None
        if self._answering is not None:
            self._answering.cancel()
        if client is not None:
            await client.close()
        self.screen.close()

    def _connected(self) -> HolderClient:
        if self._client is None:
            raise HolderError("not_connected", "The session's holder is not connected.")
        return self._client
