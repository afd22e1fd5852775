"""Machines with addresses of their own on one host: a network namespace each, joined by a bridge, where that may be made.

It takes root on Linux. Nothing leads out of the bridge: no route, no forwarding.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

_NEW_NET = 0x40000000
_CHUNK = 65536


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)


def network() -> Network | None:
    """One of this host, or None where it may not be made."""
    made = None
    try:
        made = Network()
        made.add("probe")
    except (OSError, subprocess.SubprocessError):
        if made is not None:
            made.close()
        return None
    return made


class Relay:
    """A port that leads elsewhere, wherever that is now, until it is cut; `delay` holds back all that goes through. It may be
    in a namespace (`space`); where it leads to is seen from this one."""

    def __init__(
        self,
        goal: Callable[[], tuple[str, int] | None],
        host: str = "127.0.0.1",
        port: int = 0,
        space: str | None = None,
    ) -> None:
        self._goal = goal
        self._open: set[socket.socket] = set()
        self._cut = False
        self.delay = 0.0
        self._listener = _listening(host, port, space)
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
            goal = self._goal()
            try:
                if self._cut or goal is None:
                    raise ConnectionRefusedError
                other = socket.create_connection(goal, 2)
                other.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open |= {client, other}
            for pair in ((client, other), (other, client)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(_CHUNK):
                time.sleep(self.delay)
                other.sendall(data)
        for sock in (one, other):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._open -= {one, other}


def _listening(host: str, port: int, space: str | None) -> socket.socket:
    """A socket that listens, in a namespace if one is named: a thread enters it, and a socket stays where it was made."""
    made: list[socket.socket | BaseException] = []

    def make() -> None:
        try:
            if space is not None:
                descriptor = os.open(f"/run/netns/{space}", os.O_RDONLY)
                try:
                    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(descriptor)
            made.append(socket.create_server((host, port)))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


class Network:
    """A bridge of this host, and a namespace for each machine."""

    def __init__(self) -> None:
        self._mark = f"pl{os.getpid() % 100_000}"
        self._net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._bridge = f"{self._mark}br"
        self._spaces: list[str] = []
        self._last = 1
        self.host = f"{self._net}.1"
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{self.host}/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")

    def add(self, name: str) -> str:
        """A namespace for this machine. Return its address."""
        space, outside = self.space(name), f"{self._mark}{name}"
        _run("ip", "netns", "add", space)
        self._spaces.append(space)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
        _run("ip", "link", "set", outside, "master", self._bridge, "up")
        for device in ("lo", "eth0"):
            _run("ip", "-n", space, "link", "set", device, "up")
        return self.renumber(name)

    def renumber(self, name: str) -> str:
        """Another address for this machine, and no more the one before."""
        self._last += 1
        address = f"{self._net}.{self._last}"
        _run("ip", "-n", self.space(name), "addr", "flush", "dev", "eth0")
        _run("ip", "-n", self.space(name), "addr", "add", f"{address}/24", "dev", "eth0")
        return address

    def space(self, name: str) -> str:
        """The name of its namespace."""
        return f"{self._mark}{name}"

    def prefix(self, name: str) -> tuple[str, ...]:
        """What runs a command on this machine."""
        return (shutil.which("ip") or "ip", "netns", "exec", self.space(name))

    def cut(self, name: str) -> None:
        """What is sent is lost, and nobody is told: as when a cable is pulled."""
        _run("ip", "link", "set", f"{self._mark}{name}", "down")

    def mend(self, name: str) -> None:
        """It is plugged in again."""
        _run("ip", "link", "set", f"{self._mark}{name}", "up")

    def slow(self, name: str) -> bool:
        """200 ms more and 2 % lost, by the kernel. Whether it can do that."""
        words = ("tc", "qdisc", "add", "dev", f"{self._mark}{name}", "root", "netem", "delay", "200ms", "loss", "2%")
        try:
            _run(*words)
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def close(self) -> None:
        """Nothing of it is left."""
        for space in self._spaces:
            with suppress(subprocess.SubprocessError):  # what lingers in a namespace would keep both ends
                _run("ip", "link", "del", space)
            with suppress(subprocess.SubprocessError):
                _run("ip", "netns", "del", space)
        with suppress(subprocess.SubprocessError):
            _run("ip", "link", "del", self._bridge)
