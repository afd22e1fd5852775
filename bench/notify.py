"""Message to reply with an instant model, while channels hang, flood and lie, and without any: no session may notice.

Two houses, message by message in turn, so that a noisy machine is noisy for both. One has no channels; the other has six: two
that accept a connection and never answer, two that answer without end, two that name absurd pauses. Every message there is told
to all of them (`answered_seconds: 0`), so that the outbox, its senders and the courier's thread are at work all the time.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from bench import lab
from tests.harness import House

MORE_MS = 15.0
"""What the median may differ: as much as two equal houses differ on a noisy machine."""

_LIE = b"HTTP/1.1 429 No\r\nRetry-After: 1e308\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FLOOD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Bad:
    """A service that does one thing wrong: `hang`, `flood` or `lie`."""

    def __init__(self, manner: str) -> None:
        self._manner = manner
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.asked += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            if self._manner == "lie":
                connection.sendall(_LIE)
            elif self._manner == "flood":
                connection.sendall(_FLOOD)
                while True:
                    connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            else:
                connection.recv(1)

    def close(self) -> None:
        """End it."""
        self._listener.close()


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("notify", __doc__)
    parser.add_argument("--messages", type=int, default=40)
    arguments = parser.parse_args(argv)
    bad = [Bad(manner) for manner in ("hang", "flood", "lie") for _ in range(2)]
    channels = [
        {
            "name": f"bad{number}",
            "kind": "webhook",
            "url": f"http://127.0.0.1:{service.port}/",
            "rules": {"content": "text"},
        }
        for number, service in enumerate(bad)
    ]
    told = {"channels": channels, "private_hosts": ["127.0.0.1"], "answered_seconds": 0.0}
    with lab.open_house(arguments.release, {"notify": told}) as with_bad, lab.open_house(arguments.release) as without:
        figures, verdicts = _measure(with_bad, without, arguments.messages)
    figures["requests to channels"] = sum(service.asked for service in bad)
    verdicts["the channels were at work"] = all(service.asked for service in bad)
    for service in bad:
        service.close()
    return lab.finish(f"notify, CLI {arguments.release}", figures, verdicts, arguments.json)


def _measure(with_bad: House, without: House, count: int) -> tuple[dict[str, Any], dict[str, bool]]:
    sessions = {house: house.ask("echo: warm")[1] for house in (with_bad, without)}
    took: dict[House, list[float]] = {with_bad: [], without: []}
    progress = lab.Progress("messages", count)
    for number in range(count):
        for house, session in sessions.items():
            began = time.monotonic()
            reply, _ = house.ask(f"echo: message {number:04d}", session)
            took[house].append(1000 * (time.monotonic() - began))
            assert reply == f"message {number:04d}", reply
        progress.at(number + 1)
    medians = {house: lab.percentile(values, 50) for house, values in took.items()}
    more = medians[with_bad] - medians[without]
    figures = {
        "p50 without channels, ms": round(medians[without], 1),
        "p50 with six bad channels, ms": round(medians[with_bad], 1),
        "p95 without, ms": round(lab.percentile(took[without], 95), 1),
        "p95 with, ms": round(lab.percentile(took[with_bad], 95), 1),
        "more, ms": round(more, 1),
    }
    return figures, {f"at most {MORE_MS:g} ms more": more <= MORE_MS}
