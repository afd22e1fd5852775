"""The endpoint over TCP is told of its subscribers, and does not look for them more often than it has decided itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import zmq
import zmq.asyncio

from shared import paths
from shared.access.bus_keys import BusKeyring
from shared.bus.connection import ClientKey, new_key_pair, use_key
from shared.bus.messages import Request
from shared.config import BusConfig
from supervisor.bus import server as bus_module
from supervisor.bus import sockets
from supervisor.bus.server import Bus
from tests.unit.bus.server_lab import ask, frame, heard


class Counted(sockets.TcpEndpoint):
    """One that counts how often its subscribers are looked for."""

    looks = 0

    def subscribed(self) -> bool:
        self.looks += 1
        return super().subscribed()


class TcpLab:
    """A bus with nothing but this endpoint, and clients of it that have a key."""

    def __init__(self, folder: Path) -> None:
        keyring, pair = BusKeyring(paths.resolve({"PILOTLIGHT_HOME": str(folder)})), new_key_pair()
        keyring.clients.add("monitor", "read", pair.public)
        config = BusConfig(tcp_host="127.0.0.1", tcp_request_port=0, tcp_event_port=0)
        log = logging.getLogger("test.bus")
        self.endpoint = Counted(config, keyring, log)
        self._context = zmq.asyncio.Context()
        self.bus = Bus([self.endpoint], self._answer, log, permit=lambda request, _: request)
        self._running = [
            asyncio.create_task(self.bus.serve()),
            asyncio.create_task(self.bus.tick("epoch", lambda: 7)),
        ]
        self._pair = pair

    @staticmethod
    async def _answer(request: Request) -> Any:
        return request.args

    def client(self, kind: int, address: str) -> zmq.asyncio.Socket:
        facts = self.endpoint.facts()
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        use_key(ClientKey(self._pair, facts["serverKey"]), socket)
        socket.connect(facts[address])
        return socket

    def subscriber(self) -> zmq.asyncio.Socket:
        socket = self.client(zmq.SUB, "events")
        socket.subscribe("")
        return socket

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self.bus.close()
        self._context.destroy(0)


@pytest_asyncio.fixture
async def lab(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TcpLab]:
    monkeypatch.setattr(bus_module, "TICK_SECONDS", 1e9)
    monkeypatch.setattr(bus_module, "WELCOME_SECONDS", 0.001)
    made = TcpLab(folder)
    await asyncio.sleep(0)  # both are under way
    yield made
    await made.stop()


async def test_nobody_is_looked_for_while_nobody_subscribes(lab: TcpLab) -> None:
    assert (await heard(lab.subscriber()))["data"] == {"head": 7}
    dealer = lab.client(zmq.DEALER, "requests")
    before = lab.endpoint.looks
    for number in range(300):
        await ask(dealer, frame(f"r{number}"))
    assert lab.endpoint.looks - before < 10


async def test_who_subscribes_all_the_time_does_not_make_it_look_all_the_time(
    lab: TcpLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, dealer = lab.subscriber(), lab.client(zmq.DEALER, "requests")
    await heard(socket)
    monkeypatch.setattr(sockets, "LOOK_SECONDS", 1e6)
    monkeypatch.setattr(bus_module, "WELCOME_SECONDS", 1e6)
    before = lab.endpoint.looks
    for number in range(300):
        socket.subscribe(f"topic{number}")
        await ask(dealer, frame(f"r{number}"))
    assert lab.endpoint.looks - before < 10


async def test_who_subscribes_to_sockets_that_were_opened_anew_hears_the_head(lab: TcpLab) -> None:
    first = lab.subscriber()
    await heard(first)
    lab.endpoint._close_sockets(0)
    lab.endpoint._open_sockets()
    assert (await heard(lab.subscriber()))["data"] == {"head": 7}
    assert (await heard(first))["data"] == {"head": 7}, "and whoever comes back does"
