"""A real API process, and the double of the supervisor behind a real socket."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq

from shared import paths as places
from shared.bus.messages import VERSION, ErrorBody, Reply, Request
from shared.errors import PilotlightError
from tests.api_double import FakeSupervisor
from tests.harness import PATIENCE

ROOT = Path(__file__).resolve().parents[1]


class Process:
    """One API of one home. With `log` its standard error goes there: a pipe that nobody reads is full at some time."""

    def __init__(self, home: Path, port: int = 0, log: Path | None = None, **environment: str) -> None:
        self.paths = places.resolve({"PILOTLIGHT_HOME": str(home)})
        env = {"PATH": os.environ["PATH"], "PILOTLIGHT_HOME": str(home), "PILOTLIGHT_PORT": str(port), **environment}
        self._log = log
        with open(log or os.devnull, "ab") as errors:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "api"],
                cwd=ROOT,
                env=env,
                stderr=errors if log else subprocess.PIPE,
                stdin=subprocess.DEVNULL,
            )
        self.lock: dict[str, Any] = {}

    def wait_until_up(self) -> Process:
        until(lambda: bool(self._read_lock()), "the API did not come up")
        return self

    def _read_lock(self) -> dict[str, Any]:
        try:
            lock = json.loads(self.paths.api_lock.read_bytes())
        except (OSError, ValueError):
            return {}
        self.lock = lock if lock["pid"] == self.child.pid else {}
        return self.lock

    @property
    def port(self) -> int:
        return int(self.lock["url"].rsplit(":", 1)[1])

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        connection = self.connect(method, path, body)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content)

    def connect(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        token = self.paths.token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if body else {})}
        connection.request(method, path, body, headers)
        return connection

    def end(self) -> str:
        """What it said: on standard error, and in its log."""
        if self.child.poll() is None:
            self.child.kill()
        said = self.child.communicate(timeout=PATIENCE)[1]
        told = self.paths.log_dir / "api.log"
        return (self._log.read_text() if self._log else said.decode()) + (told.read_text() if told.exists() else "")


class BusServer(threading.Thread):
    """The double behind a real ROUTER, so that a real API process can be served without a supervisor."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.paths = places.resolve({"PILOTLIGHT_HOME": str(home)})
        self.paths.prepare()
        self.supervisor = FakeSupervisor()
        self.silent_on: set[str] = set()
        self.heard: list[str] = []
        self._stop_now = threading.Event()
        self.start()

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.setsockopt(zmq.LINGER, 0)
            router.bind(self.paths.request_address)
            while not self._stop_now.is_set():
                if router.poll(20):
                    *route, frame = router.recv_multipart()
                    request = msgspec.json.decode(frame, type=Request)
                    self.heard.append(request.op)
                    if request.op not in self.silent_on:
                        router.send_multipart([*route, msgspec.json.encode(self._reply(request))])

    def _reply(self, request: Request) -> Reply:
        try:
            result = self.supervisor.call(request.op, request.args)
            return Reply(v=VERSION, id=request.id, ok=True, result=result)
        except PilotlightError as error:
            body = ErrorBody(code=error.error_code, message=error.message, status=error.status)
            return Reply(v=VERSION, id=request.id, ok=False, error=body)

    def close(self) -> None:
        self._stop_now.set()
        self.join(5)


def until(condition: Callable[[], bool], complaint: str, seconds: float = PATIENCE) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, complaint
        time.sleep(0.01)
    return time.monotonic() - began
