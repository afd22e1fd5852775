"""Hostile, broken and numerous clients of a holder cost themselves the connection and nobody else anything."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
from typing import Any

import psutil
import pytest

from supervisor.holder.protocol import MAX_FRAME, encode_json
from supervisor.terminal.holder_client import HolderError, HolderInfo
from tests.faults.holder_lab import CAT, DEADLINE, Lab, Watcher, until


class Peer:
    """A client that says whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, info: HolderInfo) -> Peer:
        return cls(*await asyncio.open_unix_connection(info.socket))

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.writer.write(encode_json(message))
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            found: dict[str, Any] = json.loads((await self.reader.readexactly(length))[1:])
            return found

    async def is_dropped(self) -> bool:
        async with asyncio.timeout(DEADLINE):
            try:
                return await self.reader.read() is not None
            except ConnectionError:
                return True


async def works(watcher: Watcher, id: str) -> None:
    await watcher.client.write(id, id.encode() + b"\n", 5)
    await watcher.sees((id.encode() + b"\r\n") * 2)  # to its end, or that is taken for the next one's beginning


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\0",
        struct.pack(">I", MAX_FRAME + 1) + b"J",
        b"\xff" * 65536,
        struct.pack(">I", 5) + b"Jnope",
        struct.pack(">I", 3) + b"J[]",
        struct.pack(">I", 10) + b"O" + b"\0" * 9,
        struct.pack(">I", 2) + b"Z?",
        encode_json({"op": "stat"}),
        encode_json({"seq": "one", "op": "stat"}),
        struct.pack(">I", 900_001) + b"J" + b"[" * 900_000,
        struct.pack(">I", 6) + b"J\xff\xfe\xfd{}",
    ],
)
async def test_garbage_costs_its_sender_the_connection(lab: Lab, garbage: bytes) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)
    peer = await Peer.connect(info)

    peer.writer.write(garbage)

    assert await peer.is_dropped()
    await works(watcher, "fine")
    assert watcher.lost == 0
    assert (await watcher.client.stat())["clients"] == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"op": "format_disk"}, "unknown_op"),
        ({}, "unknown_op"),
        ({"op": ["stat"]}, "unknown_op"),
        ({"op": "__init__"}, "unknown_op"),
        ({"op": "subscribe"}, "bad_request"),
        ({"op": "subscribe", "offset": "x"}, "bad_request"),
        ({"op": "subscribe", "offset": None}, "bad_request"),
        ({"op": "write", "id": "1", "data": "%%%", "timeout": "soon"}, "bad_request"),
        ({"op": "write", "id": 7, "data": "", "timeout": 1}, "bad_request"),
        ({"op": "write", "id": "1", "data": "eA", "timeout": 1}, "bad_request"),
        ({"op": "write", "id": "1", "data": "eA==", "timeout": -1}, "bad_request"),
        ({"op": "write", "id": "1", "data": "eA==", "timeout": float("nan")}, "bad_request"),
        ({"op": "resize", "cols": 1e999, "rows": 2}, "bad_request"),
        ({"op": "resize", "cols": 80}, "bad_request"),
        ({"op": "signal", "signal": 999, "scope": "child"}, "bad_request"),
        ({"op": "signal", "signal": 15, "scope": "everyone"}, "bad_request"),
        ({"op": "stop", "grace": -1}, "bad_request"),
        ({"op": "stop", "grace": float("nan")}, "bad_request"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_and_no_more(
    lab: Lab, request_: dict[str, Any], code: str
) -> None:
    info = await lab.start(CAT)
    peer = await Peer.connect(info)

    answer = await peer.ask({"seq": 5, **request_})

    assert (answer["seq"], answer["ok"], answer["error"]["code"]) == (5, False, code)
    assert (await peer.ask({"seq": 6, "op": "stat"}))["state"] == "running"
    assert (lab.folder() / "holder.log").read_text() == ""
    peer.writer.close()


async def test_frames_may_arrive_in_any_pieces(lab: Lab) -> None:
    info = await lab.start(CAT)
    peer = await Peer.connect(info)

    for byte in encode_json({"seq": 1, "op": "stat"}) + encode_json({"seq": 2, "op": "hello"}):
        peer.writer.write(bytes([byte]))
        await peer.writer.drain()

    assert [(await peer.hear())["seq"] for _ in range(2)] == [1, 2]
    peer.writer.close()


async def test_a_negative_or_future_offset_is_brought_into_range(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)
    await works(watcher, "one")

    past, future = await lab.watch(info, offset=-5), await lab.watch(info, offset=10**15)
    await works(watcher, "two")

    await past.sees(b"two\r\ntwo\r\n")
    await future.sees(b"two\r\ntwo\r\n")
    assert past.output == b"one\r\none\r\ntwo\r\ntwo\r\n"
    assert future.output == b"two\r\ntwo\r\n"


async def test_one_client_too_many_is_told_so(lab: Lab) -> None:
    info = await lab.start(CAT)
    watchers = [await lab.watch(info) for _ in range(16)]

    with pytest.raises(HolderError) as failure:
        await lab.watch(info)

    assert failure.value.code in ("too_many_clients", "lost")
    await watchers[0].client.close()
    await watchers[1].finds(lambda stat: stat["clients"] == 15)
    await works(await lab.watch(info), "room again")


async def test_a_client_that_asks_and_never_listens_costs_no_memory(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)
    peer = await Peer.connect(info)
    before = psutil.Process(info.pid).memory_full_info().uss
    requests = encode_json({"seq": 1, "op": "stat"}) * 20_000

    async def pour() -> None:
        while True:
            peer.writer.write(requests)
            await peer.writer.drain()

    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):  # until the holder no longer listens, and then some
            await pour()

    await works(watcher, "fine")
    assert psutil.Process(info.pid).memory_full_info().uss - before < 2 << 20
    peer.writer.transport.abort()


async def test_more_writes_than_can_wait_are_refused_untyped(lab: Lab) -> None:
    script = ["/bin/sh", "-c", "stty raw -echo; echo ready; sleep 60"]
    watcher = await lab.watch(await lab.start(script))
    await watcher.sees(b"ready")
    blocker = asyncio.create_task(watcher.client.write("blocker", b"x" * 200_000, 60))
    await watcher.finds(lambda stat: stat["pending_writes"])

    writes = [asyncio.create_task(watcher.client.write(str(n), b"y", 60)) for n in range(100)]
    await until(lambda: sum(write.done() for write in writes) == 37)  # refused at once; the others wait
    assert (await watcher.client.stat())["pending_writes"] == 64
    await watcher.client.signal(signal.SIGKILL)

    answers = await asyncio.gather(blocker, *writes, return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, HolderError)]
    assert (codes.count("exited"), codes.count("busy")) == (64, 37)
