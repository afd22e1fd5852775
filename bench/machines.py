"""What a gateway costs: time added to a message and to a merged list, and how it grows from 1 to 20 nodes with 500 sessions each.

The gateway is the real one in a process of its own; the nodes are simulated (bench/simulated_nodes.py), so that the difference
between asking one directly and through the gateway is the gateway's. Exit code 1 when it adds more than 5 ms (median) to a
message or 10 ms to a list of 3 x 200, or needs more than one core or 150 MB with 20 nodes, 10,000 sessions and 200 events/s.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.lab import MEGABYTE, finish, parser, percentile
from bench.plot import Panel, svg
from tests.harness import ROOT
from tests.machines_lab import Door

MESSAGE_MS, LIST_MS = 5.0, 10.0
CORES, MEMORY_MB = 1.0, 150.0
SIZES = (1, 3, 5, 10, 20)
MESSAGES, LISTS = 300, 60
WATCH_SECONDS = 6.0


@dataclass
class Scene:
    """A gateway before simulated nodes."""

    door: Door
    nodes: list[tuple[str, int, str]]

    @property
    def process(self) -> psutil.Process:
        """The gateway."""
        assert self.door.child is not None
        return psutil.Process(self.door.child.pid)


@contextmanager
def scene(count: int, sessions: int, events: float) -> Iterator[Scene]:
    """Both running, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="plb-") as folder:
        command = [sys.executable, "-m", "bench.simulated_nodes", str(count), str(sessions), str(events)]
        nodes = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ))
        assert nodes.stdout is not None
        assert nodes.stdin is not None
        found = [tuple(one) for one in json.loads(nodes.stdout.readline())]
        door = Door(Path(folder))
        home = door.paths.home
        (home / "t").write_text("secret")
        (home / "config.yaml").write_text("api: {rate_per_minute: 0}\nlog: {level: warning}\n")
        entries = [{"name": name, "url": f"http://127.0.0.1:{port}", "token_file": "t"} for name, port, _ in found]
        (home / "nodes.yaml").write_text(json.dumps({"nodes": entries, "timeout_seconds": 10}))
        door.start()
        try:
            yield Scene(door, found)
        finally:
            assert door.child is not None
            door.child.terminate()
            door.child.wait(30)
            nodes.stdin.close()
            nodes.wait(30)


class Client:
    """One kept connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def took(self, method: str, path: str, body: bytes | None = None) -> float:
        """Milliseconds to the whole answer."""
        began = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        return (time.perf_counter() - began) * 1000


def added(at: Scene) -> tuple[float, float]:
    """Milliseconds (median) that the gateway adds to a message, and to a list of all sessions beside the slowest node's own."""
    token = at.door.paths.token_file.read_text().strip()
    through = Client(at.door.port or 0, token)
    direct = [Client(port, "secret") for _, port, _ in at.nodes]
    name, _, session = at.nodes[0]
    body = b'{"message": "hello"}'
    messages, lists = ([], []), ([], [])  # type: tuple[list[float], list[float]], tuple[list[float], list[float]]
    for _ in range(MESSAGES):
        messages[0].append(direct[0].took("POST", f"/api/sessions/{session}/messages", body))
        messages[1].append(through.took("POST", f"/api/sessions/{name}~{session}/messages", body))
    for _ in range(LISTS):
        lists[0].append(max(one.took("GET", "/api/sessions") for one in direct))
        lists[1].append(through.took("GET", "/api/sessions"))
    return tuple(percentile(one[1], 50) - percentile(one[0], 50) for one in (messages, lists))  # type: ignore[return-value]


def load(at: Scene) -> dict[str, float]:
    """Cores and memory of the gateway while one client follows all events and another lists every two seconds."""
    port, token = at.door.port or 0, at.door.paths.token_file.read_text().strip()
    over, heard = threading.Event(), [0]

    def follow() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        while not over.is_set() and (line := response.readline()):
            heard[0] += line.startswith(b"event: text")

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    client, process = Client(port, token), at.process
    client.took("GET", "/api/sessions")
    before, began, said = process.cpu_times(), time.monotonic(), heard[0]
    lists = []
    while time.monotonic() - began < WATCH_SECONDS:
        lists.append(client.took("GET", "/api/sessions"))
        time.sleep(2)
    seconds, after = time.monotonic() - began, process.cpu_times()
    over.set()
    return {
        "events a second": (heard[0] - said) / seconds,
        "list ms": percentile(lists, 50),
        "cores": (after.user + after.system - before.user - before.system) / seconds,
        "MB": process.memory_info().rss / MEGABYTE,
    }


def plot(figures: dict[str, Any]) -> str:
    """How memory and cores grow with the nodes."""
    panels = (("Memory of a gateway (MB)", "MB", MEMORY_MB), ("Cores", "cores", CORES))
    return svg(
        "nodes (500 sessions each, 200 events a second in all)",
        SIZES,
        [Panel(title, [figures[f"{count} nodes: {name}"] for count in SIZES], most) for title, name, most in panels],
    )


def main(argv: Sequence[str]) -> int:
    """Measure, print, judge."""
    known = parser("machines", __doc__)
    known.add_argument("--plot", type=Path, help="Also draw how it grows with the nodes, as an SVG.")
    options = known.parse_args(argv)
    with scene(3, 200, 0) as small:
        message, merged = added(small)
    figures: dict[str, Any] = {"message +ms": message, "list of 3 x 200 +ms": merged}
    for count in SIZES:
        with scene(count, 500, 200) as big:
            for name, value in load(big).items():
                figures[f"{count} nodes: {name}"] = value
    if options.plot is not None:
        options.plot.write_text(plot(figures))
    largest = SIZES[-1]
    verdicts = {
        f"{name} <= {most:g}": figures[name] <= most
        for name, most in (
            ("message +ms", MESSAGE_MS),
            ("list of 3 x 200 +ms", LIST_MS),
            (f"{largest} nodes: cores", CORES),
            (f"{largest} nodes: MB", MEMORY_MB),
        )
    }
    return finish("machines", figures, verdicts, options.json)
