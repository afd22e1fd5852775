"""Whoever comes over TCP takes neither room nor memory from those on this machine, and their clock may say anything.

`Abroad` is a door as the one over TCP is to the bus: it says whose key it was. The real one is in `test_bus_tcp`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
import zmq

import shared.bus.client
from shared.access.bus_keys import BusClientKey
from shared.bus.client import BusClient
from shared.bus.messages import VERSION, Request
from supervisor.bus import server as bus_module
from supervisor.bus.replies import Bounds
from supervisor.bus.server import Bus, by_our_clock
from supervisor.bus.sockets import Delivery, LocalEndpoint
from tests.unit.bus.server_lab import PATIENCE, Lab, ask, frame, heard

NOW = 1_800_000_000_000


class Abroad(LocalEndpoint):
    """The key is what stands before the dash of an id."""

    def receive(self) -> Delivery | None:
        found = super().receive()
        if found is None:
            return None
        name = json.loads(found.frames[0])["id"].partition("-")[0]
        key = BusClientKey(name=name, scope="admin", public_key=name, created_at=0)
        return Delivery(found.peer, found.frames, key)


class World(Lab):
    """A bus with a door here and one abroad."""

    def __init__(self, folder: Path) -> None:
        self.abroad_at = f"ipc://{folder}/abroad.sock"
        self._abroad_events_at = f"ipc://{folder}/abroad-events.sock"
        super().__init__(folder)

    def open(self) -> Bus:
        doors = [LocalEndpoint(self.requests_at, self.events_at), Abroad(self.abroad_at, self._abroad_events_at)]
        bus = Bus(doors, self._handle, logging.getLogger("test.bus"), permit=lambda request, _: request)
        self.running = [asyncio.create_task(bus.serve())]
        return bus

    def stranger(self) -> Any:
        socket = self.dealer()
        socket.connect(self.abroad_at)
        socket.disconnect(self.requests_at)
        return socket


@pytest_asyncio.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    made = World(folder)
    yield made
    await made.stop()
    made.context.destroy(0)


async def test_a_key_has_a_share_all_keys_have_one_and_those_here_have_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("MAX_IN_FLIGHT", 4), ("MAX_OVER_TCP", 5), ("MAX_PER_KEY", 3)):
        monkeypatch.setattr(bus_module, name, size)
    gate = asyncio.Event()

    async def wait(request: Request) -> Any:
        await gate.wait()
        return request.id

    world.answer = wait
    weak, other, local = world.stranger(), world.stranger(), world.dealer()
    for socket, name in ((weak, "weak"), (other, "other"), (local, "here")):
        for number in range(6):
            await socket.send(frame(f"{name}-{number}"))
        refused = 3 if socket is weak else 4 if socket is other else 2
        replies = [await heard(socket) for _ in range(refused)]
        assert {(reply["error"]["code"], reply["error"]["status"]) for reply in replies} == {("bus_busy", 429)}
        assert all(reply["error"]["retryable"] and reply["error"]["data"] == {"retryAfter": 1} for reply in replies)
    gate.set()
    assert [len([await heard(socket) for _ in range(n)]) for socket, n in ((weak, 3), (other, 2), (local, 4))] == [
        3,
        2,
        4,
    ]
    assert (await ask(weak, frame("weak-again")))["ok"]


async def test_replies_to_keys_push_no_reply_to_somebody_here_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "ACTS", Bounds(seconds=60.0, replies=5, size=10_000))
    world = World(folder)
    local, stranger = world.dealer(), world.stranger()
    await ask(local, frame("mine"))
    for number in range(20):
        await ask(stranger, frame(f"key-{number}"))
    await ask(local, frame("mine"))
    assert [request.id for request in world.asked].count("mine") == 1
    await world.stop()
    world.context.destroy(0)


async def test_a_request_that_comes_too_late_is_answered_and_not_done(world: World) -> None:
    past = int(time.time() * 1000) - 1000
    cases = [
        (world.dealer(), "a-late", {"deadline": past}),
        (world.dealer(), "b-late", {"deadline": past, "timeout": 5000}),  # it has waited here for a supervisor
        (world.stranger(), "c-late", {"deadline": past}),
    ]
    for socket, identity, told in cases:
        reply = await ask(socket, frame(identity, **told))
        assert (reply["id"], reply["error"]["code"], reply["error"]["status"]) == (identity, "deadline_exceeded", 504)
        assert reply["error"]["data"]["lateBy"] >= 1000
    assert world.asked == []


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
async def test_a_client_whose_clock_is_wrong_is_answered_and_its_times_are_ours(
    world: World, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() + skew, monotonic=time.monotonic)
    monkeypatch.setattr(shared.bus.client, "time", wrong)
    before = time.time() * 1000
    client = BusClient(world.abroad_at)
    try:
        assert await asyncio.to_thread(client.call, "ping", {"n": 1}, timeout=PATIENCE) == {"n": 1}
    finally:
        await asyncio.to_thread(client.close)
    (request,) = world.asked
    assert before - 5 <= request.sent <= time.time() * 1000
    assert before < request.deadline <= time.time() * 1000 + PATIENCE * 1000


async def test_a_repeat_says_that_less_time_is_left(world: World) -> None:
    frames: list[dict[str, Any]] = []
    socket = world.context.socket(zmq.ROUTER)
    socket.bind(f"{world.requests_at}-silent")
    client = BusClient(f"{world.requests_at}-silent")
    client.submit("ping", timeout=PATIENCE)
    while len(frames) < 2:
        frames.append(json.loads((await socket.recv_multipart())[-1]))
    await asyncio.to_thread(client.close)
    first, second = frames
    assert (first["timeout"], first["id"]) == (PATIENCE * 1000, second["id"])
    assert second["timeout"] <= PATIENCE * 1000 - 900
    assert [first[name] == second[name] for name in ("sent", "deadline")] == [True, True]


def request(**told: int) -> Request:
    return Request(v=VERSION, id="a", op="ping", **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "remote", "expected"),
    [
        ({"deadline": 5, "sent": 3}, True, {"deadline": 5, "sent": 3}),
        ({"timeout": 10_000}, True, {"deadline": NOW + 10_000, "sent": 0}),
        ({"timeout": 10_000}, False, {"deadline": NOW + 10_000, "sent": 0}),
        ({"timeout": 9_000, "deadline": 500, "sent": 400}, False, {"deadline": 500, "sent": 400}),
        ({"timeout": 9_000, "deadline": NOW + 99_000, "sent": 4}, False, {"deadline": NOW + 9_000, "sent": 4}),
        # its first try, and a repeat one second later, of a clock that is nowhere
        ({"timeout": 10_000, "deadline": 15_000, "sent": 5_000}, True, {"deadline": NOW + 10_000, "sent": NOW}),
        ({"timeout": 9_000, "deadline": 15_000, "sent": 5_000}, True, {"deadline": NOW + 9_000, "sent": NOW - 1_000}),
        ({"timeout": 99_000, "deadline": 15_000, "sent": 5_000}, True, {"deadline": NOW + 99_000, "sent": NOW}),
    ],
)
def test_of_another_machines_clock_only_differences_count(
    told: dict[str, int], remote: bool, expected: dict[str, int]
) -> None:
    found = by_our_clock(request(**told), NOW, remote)
    assert {"deadline": found.deadline, "sent": found.sent} == expected
