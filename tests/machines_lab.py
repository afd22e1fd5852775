"""Three whole nodes and two gateways on one host, each node behind a link that can be cut."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from demo.server import DemoModel
from shared import paths, process
from shared.access.tokens import Keyring
from tests.harness import PATIENCE, ROOT, House, until

NAMES = ("n1", "n2", "n3")


class Link:
    """A port of its own that leads to a node, wherever that is now, until it is cut."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._open: set[socket.socket] = set()
        self._cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """What is on its way is lost, and nobody gets through."""
        self._cut = True
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """It leads there again."""
        self._cut = False

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            address = self._house.api_address()
            try:
                if self._cut or address is None:
                    raise ConnectionRefusedError
                node = socket.create_connection(address, 2)
                node.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open |= {client, node}
            for one, other in ((client, node), (node, client)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for sock in (one, other):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._open -= {one, other}


class Door:
    """One gateway: a process and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.paths = paths.resolve({"PILOTLIGHT_HOME": str(folder)})
        self.paths.prepare()
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {"PATH": os.environ["PATH"], "PILOTLIGHT_HOME": str(self.paths.home), "PILOTLIGHT_PORT": "0"}
        with open(self.paths.home / "api.err", "ab") as errors:
            command = [sys.executable, "-m", "api", "gateway"]
            self.child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=errors)
        until(lambda: self.port is not None, "the gateway listens")
        until(lambda: self("GET", "/health")[0] in (200, 503), "the gateway answers")

    def kill(self) -> None:
        """As a crash does."""
        assert self.child is not None
        self.child.kill()
        self.child.wait(PATIENCE)

    @property
    def port(self) -> int | None:
        """Where it listens, once it does."""
        with suppress(OSError, ValueError):
            lock = json.loads(self.paths.api_lock.read_bytes())
            if self.child is not None and lock["pid"] == self.child.pid:
                return int(lock["url"].rpartition(":")[2])
        return None

    def __call__(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """One request, with the gateway's own token. Raise OSError when it breaks off."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 1, timeout=120)
        headers = {"Authorization": f"Bearer {self.paths.token_file.read_text().strip()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()


class Machines:
    """All of it."""

    def __init__(self, folder: Path, model: DemoModel, claude: Path) -> None:
        self.folder = folder
        self.houses = {name: self._house(folder / name, model, claude, name) for name in NAMES}
        for house in self.houses.values():
            house.start_supervisor(ready=False)
        with ThreadPoolExecutor() as pool:
            list(pool.map(House.start_api, self.houses.values()))
        self.links = {name: Link(house) for name, house in self.houses.items()}
        self.doors = Door(folder / "g1"), Door(folder / "g2")
        for door in self.doors:
            self.write(door)
            door.start()

    @staticmethod
    def _house(folder: Path, model: DemoModel, claude: Path, name: str) -> House:
        folder.mkdir()
        house = House(folder, model, claude)
        house.config["node"] = {"name": name}
        return house

    def write(self, door: Door) -> None:
        """The nodes' addresses and tokens."""
        entries = []
        for name, house in self.houses.items():
            secret = door.paths.home / f"{name}.token"
            if not secret.exists():
                secret.write_text(Keyring(house.paths).named.add(f"gateway-{door.paths.home.name}", "admin"))
            entries.append(
                {"name": name, "url": f"http://127.0.0.1:{self.links[name].port}", "token_file": secret.name}
            )
        (door.paths.home / "nodes.yaml").write_bytes(msgspec.yaml.encode({"nodes": entries, "timeout_seconds": 2}))

    def kill_node(self, name: str) -> None:
        """The whole of it, as when the power goes."""
        house = self.houses[name]
        for seen in house.marked():
            process.send_signal(seen, signal.SIGKILL)
        for child in house._processes:
            child.wait(PATIENCE)
        until(lambda: not house.marked(), "all of the node is gone")

    def states(self, door: Door) -> dict[str, str]:
        """What a gateway says of its nodes."""
        return {node["name"]: node["state"] for node in door("GET", "/api/nodes")[1]["nodes"]}

    def down(self) -> list[str]:
        """End everything; what had to be ended by force, and what the logs tell of bugs."""
        for door in self.doors:
            if door.child is not None and door.child.poll() is None:
                door.child.terminate()
                door.child.wait(PATIENCE)
        with ThreadPoolExecutor() as pool:
            left = [item for items in pool.map(House.down, self.houses.values()) for item in items]
        return left
