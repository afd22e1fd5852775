"""A subscriber that never reads costs the supervisor bounded memory and nobody else an event.

The publisher is a process of its own, so that its memory can be measured: the real `Bus`, fed as fast as the store feeds it
in a storm, with events of the size of Claude's longest ordinary ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from tests.harness import ROOT

EVENTS = 200_000
BODY_BYTES = 700
MEGABYTE = 1024 * 1024
ALLOWANCE_BYTES = 30 * MEGABYTE
"""What one stalled subscriber may cost; a supervisor with ten sessions has 26 MB of the 60 that it may take."""

PUBLISHER = f"""
import asyncio, logging, sys
from shared.bus.messages import Event
from supervisor.bus.server import Bus
from supervisor.bus.sockets import LocalEndpoint

async def handle(request):
    if request.op == "publish":
        first, count = request.args["first"], request.args["count"]
        for low in range(first, first + count, 20):
            bus.publish([
                Event(v=1, epoch="e", seq=seq, at=1, kind="text", session="s", data={{"delta": "x" * {BODY_BYTES}}})
                for seq in range(low, min(low + 20, first + count))
            ])
            await asyncio.sleep(0)
        head[0] = first + count - 1
    return head[0]

async def main():
    global bus
    door = LocalEndpoint("ipc://" + sys.argv[1] + "/bus.sock", "ipc://" + sys.argv[1] + "/events.sock")
    bus = Bus([door], handle, logging.getLogger())
    await asyncio.gather(bus.serve(), bus.tick("e", lambda: head[0]))

head = [0]
asyncio.run(main())
"""


class Publisher:
    """The process, and a way to make it publish."""

    def __init__(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.folder, self.context = folder, context
        self.child = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(folder)], cwd=ROOT)
        self._dealer = context.socket(zmq.DEALER)
        self._dealer.setsockopt(zmq.LINGER, 0)
        self._dealer.connect(f"ipc://{folder}/bus.sock")
        self._number = 0
        self.head = 0
        self.ask("ping")

    def ask(self, op: str, **arguments: int) -> int:
        self._number += 1
        self._dealer.send(json.dumps({"v": 1, "id": str(self._number), "op": op, "args": arguments}).encode())
        assert self._dealer.poll(60_000), op
        return int(json.loads(self._dealer.recv())["result"])

    def publish(self, count: int) -> None:
        self.head = self.ask("publish", first=self.head + 1, count=count)

    def subscribe(self, receive_at_most: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, receive_at_most)
        socket.subscribe("")
        socket.connect(f"ipc://{self.folder}/events.sock")
        assert socket.poll(60_000)
        return socket

    @property
    def resident(self) -> int:
        return int(psutil.Process(self.child.pid).memory_info().rss)

    def end(self) -> None:
        self.child.kill()
        self.child.wait()


@pytest.fixture
def publisher(folder: Path) -> Iterator[Publisher]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = Publisher(folder, context)
    yield made
    made.end()
    context.destroy(0)


def test_a_subscriber_that_never_reads_costs_bounded_memory(publisher: Publisher) -> None:
    publisher.publish(1000)
    before = publisher.resident
    stalled = publisher.subscribe(receive_at_most=1)
    publisher.publish(EVENTS)
    assert publisher.resident - before < ALLOWANCE_BYTES
    after_one = publisher.resident
    publisher.publish(EVENTS // 4)
    assert publisher.resident - after_one < 2 * MEGABYTE
    stalled.close(0)


def test_a_stalled_subscriber_takes_nothing_from_one_that_reads(publisher: Publisher) -> None:
    stalled = publisher.subscribe(receive_at_most=1)
    reading = publisher.subscribe(receive_at_most=0)
    publisher.publish(5_000)
    wanted = list(range(1, 5_001))
    assert received(reading, 5_000) == wanted
    stalled.close(0)


def test_a_burst_that_is_too_much_is_a_gap_that_the_tick_shows(publisher: Publisher) -> None:
    slow = publisher.subscribe(receive_at_most=10)
    publisher.publish(EVENTS // 4)
    seen = 0
    while True:
        assert slow.poll(60_000)
        body = json.loads(slow.recv_multipart()[-1])
        if body["kind"] == "tick" and body["data"]["head"] == publisher.head:
            break
        assert body["kind"] == "tick" or body["seq"] > seen
        seen = body["seq"] if body["kind"] != "tick" else seen
    assert seen <= publisher.head


def received(socket: zmq.Socket[bytes], count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        assert socket.poll(60_000), f"only {len(found)} of {count}"
        body = json.loads(socket.recv_multipart()[-1])
        if body["kind"] != "tick":
            found.append(body["seq"])
    return found
