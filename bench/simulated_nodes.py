"""`python -m bench.simulated_nodes COUNT SESSIONS EVENTS`: nodes as a gateway sees them, all in one process, each on a port.

Each answers with what was put together once, so that what is measured beside is the gateway. EVENTS a second are spread over the
nodes. The ports are printed, and then it serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Simulated:
    """One node."""

    name: str
    sessions: list[str]
    seq: int = 0
    readers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        views: list[dict[str, Any]] = [
            {"id": id, "state": "idle", "projectPath": f"/work/{index}", "createdAt": 1, "lastActivity": 1, "messageCount": 3,
             "queueLength": 0, "waiting": None, "allWaiting": [], "title": f"Session {index}", "conversationId": id,
             "pid": 4242, "holderPid": 4241, "generation": 1, "expiresAt": 2, "currentMessage": None, "backgroundTasks": [],
             "memoryBytes": 180_000_000, "cpuPercent": 0.5, "claudeVersion": "2.1.330", "model": "sonnet", "health": "ok"}
            for index, id in enumerate(self.sessions)
        ]  # fmt: skip
        health = {"status": "healthy", "node": {"id": f"id-{self.name}", "name": self.name}, "epoch": "e"}
        sent = {
            "success": True,
            "messageId": "m_1",
            "sessionId": self.sessions[0],
            "state": "answered",
            "reply": "x" * 500,
        }
        self.answers = {
            "/health": _response(health),
            "/api/sessions": _response({"success": True, "sessions": views, "next": None}),
            "send": _response(sent),
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                length = next(
                    (int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
                )
                await reader.readexactly(length)
                if path.startswith("/api/events"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
                    writer.write(f": hello\nid: e:{self.seq}\n\n".encode())
                    self.readers.add(writer)
                    await reader.read()
                    return
                writer.write(self.answers["send" if method == "POST" else path.partition("?")[0]])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.readers.discard(writer)
            writer.close()

    def tell(self) -> None:
        """One event, to whoever listens."""
        self.seq += 1
        session = self.sessions[self.seq % len(self.sessions)]
        body = {"v": 1, "epoch": "e", "seq": self.seq, "at": int(time.time() * 1000), "kind": "text", "session": session,
                "data": {"messageId": "m_1", "delta": "some words of a reply, as they come", "sent": time.time()},
                "node": f"id-{self.name}"}  # fmt: skip
        frame = f"id: e:{self.seq}\nevent: text\ndata: {json.dumps(body)}\n\n".encode()
        for writer in self.readers:
            writer.write(frame)


def _response(body: Any) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data


async def main(count: int, sessions: int, events: float) -> None:
    """Serve until standard input ends."""
    nodes = [Simulated(f"s{index}", [str(uuid.uuid4()) for _ in range(sessions)]) for index in range(count)]
    servers = [await asyncio.start_server(node.serve, "127.0.0.1", 0) for node in nodes]
    print(
        json.dumps(
            [[n.name, s.sockets[0].getsockname()[1], n.sessions[0]] for n, s in zip(nodes, servers, strict=True)]
        )
    )
    sys.stdout.flush()
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    turn, began = 0, time.monotonic()
    while not over.done():
        while events and turn < (time.monotonic() - began) * events:
            nodes[turn % count].tell()
            turn += 1
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
