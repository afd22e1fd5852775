"""Real holders with small children for the tests, and the certainty that none of them outlives its test.

Everything started here carries a marker in its environment, so that it is found again wherever it has escaped to.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import pytest

from shared.process import ProcessId, alive, identify, send_signal
from supervisor.terminal.holder_client import HolderClient, HolderError, HolderInfo, SpawnSpec, launch

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
_MARKER = "PILOTLIGHT_TEST_LAB"

CAT = ["/bin/cat"]


def python(script: str) -> list[str]:
    """A child that runs `script`; that it says when it is ready is the script's own business."""
    return [sys.executable, "-c", script]


IGNORES_HANGUP = python(
    "import os, signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGTERM)]\n"
    "print('ready', flush=True); signal.pause()"
)


async def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "not in time"
        await asyncio.sleep(0.01)


class Watcher:
    """A client and all that it was told."""

    client: HolderClient

    def __init__(self) -> None:
        self.output = bytearray()
        self.starts: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.exits: list[dict[str, Any]] = []
        self.lost = 0
        self.at_exit: Callable[[], None] = lambda: None

    def on_output(self, offset: int, data: bytes) -> None:
        self.starts.append(offset)
        self.output += data

    def on_gap(self, start: int, end: int) -> None:
        self.gaps.append((start, end))

    def on_exit(self, how: dict[str, Any]) -> None:
        self.at_exit()
        self.exits.append(how)

    def on_lost(self) -> None:
        self.lost += 1

    async def sees(self, text: bytes) -> None:
        await until(lambda: text in self.output)

    async def finds(self, condition: Callable[[dict[str, Any]], Any], seconds: float = DEADLINE) -> dict[str, Any]:
        """Asks for `stat` until it is so."""
        limit = time.monotonic() + seconds
        while not condition(stat := await self.client.stat()):
            assert time.monotonic() < limit, f"not in time: {stat}"
            await asyncio.sleep(0.01)
        return stat

    async def exited(self) -> dict[str, Any]:
        await until(lambda: self.exits)
        return self.exits[0]


class Lab:
    """`async with Lab() as lab`; directories are short, because a socket's path is."""

    def __init__(self) -> None:
        self.marker = uuid.uuid4().hex
        self.base = Path(tempfile.mkdtemp(prefix="plh"))
        self._watchers: list[Watcher] = []
        self._others = set(psutil.Process().children())  # of the houses that are lent to other tests

    async def __aenter__(self) -> Lab:
        os.environ[_MARKER] = self.marker
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watcher in self._watchers:
            await watcher.client.close()
        limit = time.monotonic() + DEADLINE
        while left := self.processes():
            assert time.monotonic() < limit, f"cannot be killed: {left}"
            for process in left:
                send_signal(process, signal.SIGKILL)
            await asyncio.sleep(0.01)
        os.environ.pop(_MARKER, None)
        shutil.rmtree(self.base)

    def children(self) -> list[psutil.Process]:
        """What this process has as children since then: a holder and its child belong to nobody."""
        return [child for child in psutil.Process().children() if child not in self._others]

    def processes(self) -> list[ProcessId]:
        """All that was started here and still runs, wherever it is now."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.pid != os.getpid() and process.environ().get(_MARKER) == self.marker
            except psutil.Error:
                continue
            if ours and (who := identify(process.pid)):
                found.append(who)
        return found

    def folder(self, name: str = "s") -> Path:
        return self.base / name

    def spec(self, argv: list[str], name: str = "s", **changes: Any) -> SpawnSpec:
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", _MARKER: self.marker, **changes.pop("env", {})}
        given: dict[str, Any] = {"cwd": str(self.base), "socket": str(self.folder(name) / "sock"), **changes}
        return SpawnSpec(argv=argv, env=env, **given)

    async def start(self, argv: list[str], name: str = "s", **changes: Any) -> HolderInfo:
        return await launch(self.folder(name), self.spec(argv, name, **changes), DEADLINE)

    async def refused(self, argv: list[str], name: str = "s", **changes: Any) -> HolderError:
        """Why there is no such holder."""
        with pytest.raises(HolderError) as failure:
            await self.start(argv, name, **changes)
        return failure.value

    async def watch(self, info: HolderInfo, offset: int | None = 0, patience: float = DEADLINE) -> Watcher:
        """A connected client, subscribed from `offset` unless that is None."""
        watcher = Watcher()
        watcher.client = await HolderClient.connect(
            info.socket, watcher.on_output, watcher.on_gap, watcher.on_exit, watcher.on_lost, patience
        )
        self._watchers.append(watcher)
        if offset is not None:
            await watcher.client.subscribe(offset)
        return watcher

    async def gone(self, *processes: ProcessId) -> None:
        await until(lambda: not any(alive(process) for process in processes))

    async def empty(self) -> None:
        """Nothing that was started here runs any more."""
        await until(lambda: not self.processes())
