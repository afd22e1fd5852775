"""Typing and looking: the echo of a key through the WebSocket beside a raw pty, and what fifty viewers cost.

The echo is that of a program that returns each byte at once, so the difference is all ours: API, supervisor and holder,
there and back. The busy session is the real CLI while it streams a reply; the processor time of API and supervisor
during it, with fifty WebSockets that read everything, less that without any, is what the viewers cost. Exit code 1 when
the median echo takes 5 ms more than the raw one, or the viewers take 20 % of a core.
"""

from __future__ import annotations

import os
import pty
import selectors
import signal
import stat
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path
from typing import Any

from bench import lab
from tests.harness import House
from tests.onlooker import Web

BOUND_MS = 5.0
BOUND_PERCENT = 20.0
WARM_UP = 20

ECHO = """#!{python}
import os, tty
tty.setraw(0)
os.write(1, b"ready")
while data := os.read(0, 1024):
    os.write(1, data)
"""


def main(argv: list[str]) -> int:
    """Run it and print the figures."""
    parser = lab.parser("terminal", __doc__)
    parser.add_argument("--keys", type=int, default=300, help="keys to type (default: %(default)s)")
    parser.add_argument("--viewers", type=int, default=50, help="WebSockets (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of a streaming reply (default: %(default)s)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "echo"
        program.write_text(ECHO.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        raw = _raw_echo(program, options.keys)
        with lab.open_house(options.release, claude=program) as house:
            ours = _our_echo(house, options.keys)
    with lab.open_house(options.release) as house:
        busy = _busy(house, options.viewers, options.seconds)
    more = lab.percentile(ours, 50) - lab.percentile(raw, 50)
    figures = {
        "raw pty, echo p50 / p95 ms": f"{lab.percentile(raw, 50):.2f} / {lab.percentile(raw, 95):.2f}",
        "WebSocket, echo p50 / p95 ms": f"{lab.percentile(ours, 50):.2f} / {lab.percentile(ours, 95):.2f}",
        "difference of the medians ms": more,
        **busy,
    }
    cost = busy[f"{options.viewers} viewers, % of a core"]
    verdicts = {
        f"echo under {BOUND_MS:g} ms over the raw pty": more < BOUND_MS,
        f"{options.viewers} viewers under {BOUND_PERCENT:g} % of a core": cost < BOUND_PERCENT,
    }
    return lab.finish(f"terminal, CLI {options.release}", figures, verdicts, options.json)


def _raw_echo(program: Path, keys: int) -> list[float]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program, [str(program)])
    try:
        seen = b""
        while b"ready" not in seen:
            seen += os.read(terminal, 1024)
        tty.setraw(terminal)
        times = []
        for number in range(keys + WARM_UP):
            key = b"%c" % (97 + number % 26)
            began = time.perf_counter()
            os.write(terminal, key)
            while key not in os.read(terminal, 1024):
                pass
            times.append((time.perf_counter() - began) * 1000)
        return times[WARM_UP:]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _open(house: House, session: str, query: str = "") -> Web:
    address = house.api_address()
    assert address is not None
    path = f"/api/sessions/{session}/terminal?{query}"
    return Web(address, path, {"Authorization": f"Bearer {house.token}"})


def _our_echo(house: House, keys: int) -> list[float]:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    web = _open(house, session, "mode=write")
    web.until_shown("ready")
    times = []
    for number in range(keys + WARM_UP):
        before = web.received
        began = time.perf_counter()
        web.send(b"%c" % (97 + number % 26))
        while web.received == before:
            web.look(1.0)
        times.append((time.perf_counter() - began) * 1000)
    web.close()
    return times[WARM_UP:]


class Crowd:
    """Viewers that read everything and look at nothing."""

    def __init__(self, webs: list[Web]) -> None:
        self._webs = webs
        self._over = threading.Event()
        self.bytes = 0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for web in self._webs:
                web.connection.setblocking(False)
                selector.register(web.connection, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in selector.select(0.2):
                    self.bytes += len(os.read(key.fd, 1 << 16))

    def leave(self) -> int:
        """End; how many bytes each has received."""
        self._over.set()
        self._thread.join()
        for web in self._webs:
            web.close()
        return self.bytes // max(1, len(self._webs))


def _busy(house: House, viewers: int, seconds: float) -> dict[str, Any]:
    _, session = house.ask("echo: warm")
    alone = _share(house, session, seconds)
    crowd = Crowd([_open(house, session) for _ in range(viewers)])
    watched = _share(house, session, seconds)
    received = crowd.leave()
    return {
        "bytes a second to each viewer": received / seconds,
        "API, nobody looks, % of a core": alone[0],
        "supervisor, nobody looks, % of a core": alone[1],
        f"API, {viewers} look, % of a core": watched[0],
        f"supervisor, {viewers} look, % of a core": watched[1],
        f"{viewers} viewers, % of a core": sum(watched) - sum(alone),
    }


def _share(house: House, session: str, seconds: float) -> tuple[float, float]:
    """What API and supervisor use of a core while Claude streams a reply."""
    assert house.api is not None
    assert house.supervisor is not None
    text = "".join(f"line {number} of a reply that goes on and on\n" for number in range(int(seconds * 8)))
    began = time.monotonic()
    before = _cpu(house.api.pid), _cpu(house.supervisor.pid)
    sent = house.send(f"[[stream {seconds:g}]] echo: {text}", session, wait=seconds + 60)
    after = _cpu(house.api.pid), _cpu(house.supervisor.pid)
    took = time.monotonic() - began
    assert sent["message"]["state"] == "answered", sent["message"]
    return 100 * (after[0] - before[0]) / took, 100 * (after[1] - before[1]) / took


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
