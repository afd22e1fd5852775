"""Three whole nodes and two gateways on one host: each node behind a port of its own that can be cut, or each of the five on a
machine of its own as far as the network goes (tests/network.py)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from demo.server import DemoModel
from shared import paths, process
from shared.access.tokens import Keyring
from tests.faults.pausing import Pauses
from tests.harness import PATIENCE, ROOT, House, until
from tests.network import Network, Relay

NAMES = ("n1", "n2", "n3")
FAST = "import time\n_now = time.time\ntime.time = lambda: _now() + 3600\n"
"""What puts the clock of a machine's programs an hour ahead."""


class Door:
    """One gateway: a process and a home of its own."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> None:
        self.host, self._prefix = host, prefix
        self.paths = paths.resolve({"PILOTLIGHT_HOME": str(folder)})
        self.paths.prepare()
        self.paths.config_file.write_bytes(msgspec.yaml.encode({"api": {"host": host}}))
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {"PATH": os.environ["PATH"], "PILOTLIGHT_HOME": str(self.paths.home), "PILOTLIGHT_PORT": "0"}
        with open(self.paths.home / "api.err", "ab") as errors:
            command = [*self._prefix, sys.executable, "-m", "api", "gateway"]
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
        connection = http.client.HTTPConnection(self.host, self.port or 1, timeout=120)
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

    def __init__(
        self, folder: Path, model: DemoModel, claude: Path, network: Network | None = None, fast: str | None = None
    ) -> None:
        self.folder, self.network, self._fast = folder, network, fast
        self.houses = {name: self._house(folder / name, model, claude, name) for name in NAMES}
        self.pauses = {name: Pauses(house) for name, house in self.houses.items()}
        for house in self.houses.values():
            house.start_supervisor(ready=False)
        with ThreadPoolExecutor() as pool:
            list(pool.map(House.start_api, self.houses.values()))
        self.links = {} if network else {name: Relay(house.api_address) for name, house in self.houses.items()}
        self.doors = self._door("g1"), self._door("g2")
        for door in self.doors:
            self.write(door)
            door.start()

    def _house(self, folder: Path, model: DemoModel, claude: Path, name: str) -> House:
        folder.mkdir()
        house = House(folder, model, claude)
        house.config["node"] = {"name": name}
        if name == self._fast:
            (folder / "clock").mkdir()
            (folder / "clock" / "sitecustomize.py").write_text(FAST)
            house.extra_env["PYTHONPATH"] = f"{folder / 'clock'}:{ROOT}"
        if self.network is not None:
            house.config["api"] = {"host": self.network.add(name), "port": 3001}
            house.prefix = self.network.prefix(name)
            address = urlsplit(model.url)
            assert address.hostname is not None
            assert address.port is not None
            goal = (address.hostname, address.port)
            Relay(lambda: goal, *goal, self.network.space(name))
        return house

    def _door(self, name: str) -> Door:
        if self.network is None:
            return Door(self.folder / name)
        return Door(self.folder / name, self.network.add(name), self.network.prefix(name))

    def write(self, door: Door, twice: str | None = None) -> None:
        """The nodes' addresses and tokens; with `twice` the node n1 is at this one's address, too."""
        entries: list[dict[str, str]] = []
        for name, house in self.houses.items():
            secret = door.paths.home / f"{name}.token"
            if not secret.exists():
                secret.write_text(Keyring(house.paths).named.add(f"gateway-{door.paths.home.name}", "admin"))
            entries.append({"name": name, "token_file": secret.name, **self._where(name)})
        entries += [{**entry, "name": "n1"} for entry in entries if entry["name"] == twice]
        draft = door.paths.home / "nodes.new"
        draft.write_bytes(msgspec.yaml.encode({"nodes": entries, "timeout_seconds": 2}))
        draft.rename(door.paths.home / "nodes.yaml")

    def _where(self, name: str) -> dict[str, str]:
        link = self.links.get(name)
        if link is None:
            return {"url": f"http://{self.houses[name].config['api']['host']}:3001"}
        if self.network is None:
            return {"url": f"http://127.0.0.1:{link.port}"}
        return {"url": f"http://{self.network.host}:{link.port}", "host": "localhost"}

    def slow(self, name: str) -> str:
        """200 ms more to this node, by the kernel (and 2 % lost) or else by a relay. Return which."""
        if self.network is not None:
            if self.network.slow(name):
                return "netem"
            self.links[name] = Relay(self.houses[name].api_address, self.network.host)
            for door in self.doors:
                self.write(door)
        self.links[name].delay = 0.2
        return "a relay"

    def renumber(self, name: str) -> None:
        """Its address is another one from now on. Start its API again."""
        if self.network is not None:
            self.houses[name].config["api"]["host"] = self.network.renumber(name)
            for door in self.doors:
                self.write(door)

    def cut(self, name: str) -> None:
        """The link to it: what is on its way is lost."""
        self.network.cut(name) if self.network is not None else self.links[name].cut()

    def mend(self, name: str) -> None:
        """As it was."""
        self.network.mend(name) if self.network is not None else self.links[name].mend()

    def kill_node(self, name: str) -> None:
        """The whole of it, as when the power goes."""
        house = self.houses[name]
        for seen in house.marked():
            process.send_signal(seen, signal.SIGKILL)
        for child in house._processes:
            child.wait(PATIENCE)
        until(lambda: not house.marked(), "all of the node is gone")

    @staticmethod
    def command(door: Door, *words: str) -> subprocess.Popen[bytes]:
        """A command of somebody at this gateway."""
        environment = {"PATH": os.environ["PATH"], "PILOTLIGHT_HOME": str(door.paths.home)}
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE
        )

    def restart_supervisor(self, name: str, point: str) -> None:
        """Wait until the supervisor of this node stands at this point, and kill it there; the next one goes on."""
        self.pauses[name].reached(point)
        self.houses[name].kill_supervisor()
        self.pauses[name].release(point)
        self.houses[name].start_supervisor(ready=False)

    def states(self, door: Door) -> dict[str, str]:
        """What a gateway says of its nodes."""
        return {node["name"]: node["state"] for node in door("GET", "/api/nodes")[1]["nodes"]}

    def down(self) -> list[str]:
        """End everything; what had to be ended by force, and what the logs tell of bugs."""
        for door in self.doors:
            if door.child is not None and door.child.poll() is None:
                door.child.terminate()
                door.child.wait(PATIENCE)
        if self._fast is not None:  # deadlines on one machine are times by its clock, which is not ours
            house = self.houses[self._fast]
            words = [sys.executable, "-m", "cli", "down", "--all"]
            subprocess.run(words, cwd=ROOT, env=house.environment(), stdout=subprocess.DEVNULL, timeout=60, check=True)
        with ThreadPoolExecutor() as pool:
            left = [item for items in pool.map(House.down, self.houses.values()) for item in items]
        return left
