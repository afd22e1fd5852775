"""The channel of apprise: what it tells, what is tried again, and that one which hangs is given nothing more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from supervisor.notifications.channels import apprise as apprise_module
from supervisor.notifications.channels.apprise import Apprise, Threads
from supervisor.notifications.channels.contract import (
    Delivered,
    Refused,
    Retry,
    attempt,
)
from tests.unit.notifications.note import NOTE


@pytest_asyncio.fixture
async def plain() -> AsyncIterator[Callable[[bytes | None], Any]]:
    """A service without TLS, for apprise: its trust cannot be set. It answers what it is given; None: nothing."""
    servers: list[asyncio.Server] = []
    over = asyncio.Event()

    async def start(answer: bytes | None) -> tuple[int, list[bytes]]:
        seen: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(next(n for n in head.lower().split(b"\r\n") if n.startswith(b"content-length")).split(b":")[1])
            seen.append(await reader.readexactly(length))
            if answer is None:
                await over.wait()
            else:
                writer.write(answer)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1], seen

    yield start
    over.set()
    for server in servers:
        server.close()


async def test_apprise_tells_and_what_it_does_not_get_through_is_tried_again(plain: Any) -> None:
    port, seen = await plain(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    refusing, _ = await plain(b"HTTP/1.1 429 No\r\nRetry-After: 9\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    moved = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    redirecting, _ = await plain(moved.encode())
    threads = Threads()

    delivered = await attempt(Apprise(f"json://127.0.0.1:{port}/", threads), NOTE)
    refused = await attempt(Apprise(f"json://127.0.0.1:{refusing}/", threads), NOTE)
    redirected = await attempt(Apprise(f"json://127.0.0.1:{redirecting}/", threads), NOTE)
    nonsense = await attempt(Apprise("no-such-service://x", threads), NOTE)

    assert isinstance(delivered, Delivered)
    assert (json.loads(seen[0])["title"], json.loads(seen[0])["message"]) == (NOTE.title, NOTE.body)
    assert [type(outcome) for outcome in (refused, redirected, nonsense)] == [Retry, Retry, Refused]
    assert len(seen) == 1
    assert threads.busy == 0


async def test_apprise_that_hangs_is_given_nothing_more(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise_module, "SOCKET_SECONDS", 1.0)
    port, seen = await plain(None)
    threads = Threads()
    channel = Apprise(f"json://127.0.0.1:{port}/", threads)

    outcomes = [await attempt(channel, NOTE, seconds=0.2) for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [Retry] * 3
    assert outcomes[2] == Retry("What was given to apprise before hangs.", 30.0)
    assert len(seen) <= 2
    async with asyncio.timeout(10):
        while threads.busy:
            await asyncio.sleep(0.01)
