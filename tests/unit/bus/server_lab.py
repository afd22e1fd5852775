"""A server of the bus, and peers that send it what they like."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from shared.bus.messages import VERSION, Request
from supervisor.bus.server import Bus
from supervisor.bus.sockets import LocalEndpoint

PATIENCE = 30.0


class Lab:
    """A bus, the requests that it was asked, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.requests_at, self.events_at = f"ipc://{folder}/bus.sock", f"ipc://{folder}/events.sock"
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Awaitable[Any]] = self._echo
        self.context = zmq.asyncio.Context()
        self.log = logging.getLogger("test.bus")
        self.running: list[asyncio.Task[None]] = []
        self.bus = self.open()

    async def _echo(self, request: Request) -> Any:
        return request.args

    async def _handle(self, request: Request) -> Any:
        self.asked.append(request)
        return await self.answer(request)

    def open(self) -> Bus:
        """Start one, as a supervisor does."""
        bus = Bus([LocalEndpoint(self.requests_at, self.events_at)], self._handle, self.log)
        self.running = [asyncio.create_task(bus.serve()), asyncio.create_task(bus.tick("epoch", lambda: 7))]
        return bus

    async def stop(self) -> None:
        """End it, as a supervisor that goes."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.bus.close()

    def dealer(self) -> zmq.asyncio.Socket:
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 20_000)
        socket.setsockopt(zmq.RCVHWM, 20_000)
        socket.connect(self.requests_at)
        return socket

    def subscriber(self, topic: str = "") -> zmq.asyncio.Socket:
        socket = self.context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(topic)
        socket.connect(self.events_at)
        return socket


def frame(identity: str, op: str = "ping", **more: Any) -> bytes:
    return json.dumps({"v": VERSION, "id": identity, "op": op, **more}).encode()


async def heard(socket: zmq.asyncio.Socket) -> Any:
    frames = await asyncio.wait_for(socket.recv_multipart(), PATIENCE)
    return json.loads(frames[-1])


async def ask(socket: zmq.asyncio.Socket, data: bytes) -> Any:
    await socket.send(data)
    return await heard(socket)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
