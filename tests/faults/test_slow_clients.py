"""The API against clients that are slow, silent or many: a real process, real sockets, the supervisor's double."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api_process import Process
from tests.faults.abuse_lab import answer_of, ask, head, raw, token
from tests.faults.storage_lab import descriptors
from tests.harness import THOROUGH, until

pytestmark = pytest.mark.usefixtures("nothing_was_sent")


class TestSlowClients:
    """Sixteen threads, and more slow clients than that."""

    @pytest.fixture
    def others(self, api: Process) -> Callable[[], float]:
        """The slowest answer that somebody else got meanwhile."""

        def slowest() -> float:
            took = 0.0
            for _ in range(20):
                began = time.monotonic()
                assert ask(api, "GET", "/api/sessions")[0] == 200
                took = max(took, time.monotonic() - began)
            return took

        return slowest

    def test_two_hundred_slow_heads_hold_nobody_up_and_are_sent_away(
        self, api: Process, others: Callable[[], float]
    ) -> None:
        slow = [raw(api) for _ in range(200)]
        stop = threading.Event()

        def drip() -> None:
            for connection in slow:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ")
            while not stop.wait(0.5):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b"b")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        began = time.monotonic()
        try:
            assert others() < 4, "or they would wait until the slow ones are sent away"
            assert answer_of(slow[0]) == b"HTTP/1.1 408"
            assert time.monotonic() - began < 20
        finally:
            stop.set()
            dripping.join()
            for connection in slow:
                connection.close()

    def test_slow_bodies_hold_a_quarter_of_the_threads_and_not_for_long(
        self, api: Process, others: Callable[[], float]
    ) -> None:
        began = time.monotonic()
        slow = [raw(api) for _ in range(40)]
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b" ")

        dripping = threading.Thread(target=drip, daemon=True)
        try:
            for connection in slow:
                connection.sendall(head(api, 1000) + b"{")
            dripping.start()
            assert others() < 8, "each may hold a thread for a second at most, forty of them sixteen threads for three"
            with ThreadPoolExecutor(40) as crowd:
                answers = list(crowd.map(answer_of, slow))
            assert set(answers) == {b"HTTP/1.1 408"}
            assert time.monotonic() - began < 30
            assert others() < 4
        finally:
            stop.set()
            for connection in slow:
                connection.close()

    def test_a_slow_body_without_a_token_is_not_waited_for(self, api: Process) -> None:
        began = time.monotonic()
        with raw(api) as connection:
            connection.sendall(head(api, 1000).replace(b"Bearer", b"Basic"))
            assert answer_of(connection) == b"HTTP/1.1 401"
        assert time.monotonic() - began < 8

    def test_a_body_in_pieces_is_welcome(self, api: Process) -> None:
        body = b'{"message": "x", "sessionId": "nonsense"}'
        with raw(api) as connection:
            connection.sendall(head(api, len(body)))
            for at in range(0, len(body), 10):
                connection.sendall(body[at : at + 10])
                time.sleep(0.02)  # the pieces must be pieces
            assert answer_of(connection) == b"HTTP/1.1 404"

    def test_a_head_in_pieces_and_two_requests_at_once_are_welcome(self, api: Process) -> None:
        with raw(api) as connection:
            for piece in (b"\r\nGET /hea", b"lth HTTP/1.1\r\nHost: local", b"host\r\n", b"\r\n"):
                connection.sendall(piece)
                time.sleep(0.02)
            assert answer_of(connection) == b"HTTP/1.1 200"
        with raw(api) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
            stream = connection.makefile("rb")
            for _ in range(2):
                assert stream.readline().startswith(b"HTTP/1.1 200")
                length = 0
                while (line := stream.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                stream.read(length)

    def test_halves_of_a_head_by_the_thousand_hold_nobody_up(self, api: Process, others: Callable[[], float]) -> None:
        half = b"GET /health HTTP/1.1\r\nHost: loc"
        flood: list[socket.socket] = []
        stop = threading.Event()

        def fill(goal: int) -> None:
            for _ in range(goal):
                flood.append(raw(api))
                flood[-1].sendall(half)

        def keep_on() -> None:
            while not stop.wait(0.01):
                fill(5)
                for gone in flood[:5]:
                    gone.close()
                del flood[:5]

        fill(1500)
        more = threading.Thread(target=keep_on, daemon=True)
        more.start()
        try:
            assert others() < 1, "or they would wait until those are sent away"
        finally:
            stop.set()
            more.join()
            for connection in flood:
                connection.close()

    def test_silent_connections_make_room_for_those_who_ask(self, api: Process) -> None:
        silent: list[socket.socket] = []
        try:
            for _ in range(1100):
                silent.append(raw(api))
            began = time.monotonic()
            assert ask(api, "GET", "/api/sessions")[0] == 200
            assert time.monotonic() - began < 15
        finally:
            for connection in silent:
                connection.close()


def test_thousands_of_connections_worth_of_requests(api: Process) -> None:
    """One connection a request, from eight clients at a time, some of them rude."""
    good = (
        f"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(api)}\r\nConnection: close\r\n\r\n"
    ).encode()
    kinds = {
        good: b"HTTP/1.1 200",
        good.replace(b"Bearer", b"Basic"): b"HTTP/1.1 401",
        good.replace(b"localhost", b"evil.example"): b"HTTP/1.1 403",
        b"nonsense\r\n\r\n": b"HTTP/1.1 400",
        good[:40]: b"",  # hangs up in the middle
    }
    times = 313 if THOROUGH else 63
    requests = list(kinds.items()) * times

    def client(_: int) -> int:
        served = 0
        for request, expected in requests:
            with raw(api) as connection:
                connection.sendall(request)
                if not expected:
                    continue
                assert answer_of(connection) == expected
                served += 1
        return served

    before = descriptors(api.child.pid)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as crowd:
        served = sum(crowd.map(client, range(8)))

    assert served == 8 * 4 * times > 2000
    assert time.monotonic() - began < 120
    assert ask(api, "GET", "/health")[0] == 200
    assert api.child.poll() is None
    until(lambda: descriptors(api.child.pid) <= before + 8, "descriptors are given back")
