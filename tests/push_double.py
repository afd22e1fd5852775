"""A push service on loopback, over TLS: hypercorn with a certificate of an authority that is made for the test.

It speaks HTTP/1.1 and HTTP/2 as the real ones do, keeps what it was sent, and answers what it is told to, in turn: an `Answer`,
nothing at all (`HANG`), or a body without end (`FLOOD`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

GRACE_SECONDS, GOODBYE_SECONDS = 0.1, 10.0
"""How long hypercorn waits for connections that a client keeps before it ends them; it is not ended itself meanwhile, since it
leaves its tasks to nobody then (`_GatheringFuture exception was never retrieved`)."""


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    http: str


@dataclass(frozen=True)
class Answer:
    """What is said to one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


HANG = Answer(-1)
FLOOD = Answer(-2)


@dataclass
class Double:
    """One service. `answers` are given in turn, then the last one again."""

    url: str
    ca_file: str
    seen: list[Seen] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    came: asyncio.Event = field(default_factory=asyncio.Event)
    flooded: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def will(self, *answers: Answer) -> None:
        """Answer so from now on."""
        self.answers = list(answers)

    async def requests(self, count: int, seconds: float = 10.0) -> list[Seen]:
        """The first `count` requests, when they have come."""
        async with asyncio.timeout(seconds):
            while len(self.seen) < count:
                self.came.clear()
                await self.came.wait()
        return self.seen[:count]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """The application (ASGI)."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        self.seen.append(Seen(scope["method"], scope["path"], headers, body, scope["http_version"]))
        self.came.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is HANG:
            gone = asyncio.create_task(receive())  # whoever asked has gone
            over = asyncio.create_task(self.over.wait())
            _, waiting = await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            return
        flood = answer is FLOOD
        told = [(key.encode(), value.encode()) for key, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": 200 if flood else answer.status, "headers": told})
        reader = asyncio.create_task(receive()) if flood else None
        while reader is not None and not reader.done() and not self.over.is_set():
            await send({"type": "http.response.body", "body": b"x" * 8192, "more_body": True})
            self.flooded += 8192
            await asyncio.sleep(0)
        with suppress(Exception):
            await send({"type": "http.response.body", "body": answer.body})


@asynccontextmanager
async def push_service(folder: Path, host: str = "localhost") -> AsyncIterator[Double]:
    """A service that listens while the block runs, in the loop of the caller."""
    authority = trustme.CA()
    ca_file, key_file, chain_file = folder / "ca.pem", folder / "server.key", folder / "server.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    certificate = authority.issue_cert(host, "localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(key_file))
    chain_file.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.certfile, config.keyfile = str(chain_file), str(key_file)
    config.graceful_timeout, config.shutdown_timeout = GRACE_SECONDS, GRACE_SECONDS
    config.errorlog = None
    double = Double(f"https://localhost:{listener.getsockname()[1]}", str(ca_file))
    server = asyncio.create_task(serve(double, config, shutdown_trigger=double.over.wait))  # type: ignore[arg-type]
    try:
        yield double
    finally:
        double.over.set()
        _, late = await asyncio.wait({server}, timeout=GOODBYE_SECONDS)
        for task in late:
            task.cancel()
        if server.done() and not server.cancelled():
            server.exception()  # what hypercorn says about being ended
        with suppress(OSError):
            listener.close()
