"""How one connects to the bus: the key that one has, the folder of the socket, and the connection of a client.

What must not regress: over TCP nothing waits in a queue of ZeroMQ's for a supervisor that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zmq

from shared.access.bus_keys import KeyPair

HEARTBEAT_MILLISECONDS = 10_000
"""Over TCP: a supervisor whose machine is gone is noticed, and looked for again."""


@dataclass(frozen=True)
class ClientKey:
    """What one needs to connect over TCP (`pilotlight bus-keys add`): one's own key pair, and the supervisor's public key."""

    pair: KeyPair
    server: str


def new_key_pair() -> KeyPair:
    """A fresh CURVE key pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def socket_folder(address: str) -> Path | None:
    """Where the socket of an address on this machine is."""
    return Path(address.removeprefix("ipc://")).parent if address.startswith("ipc://") else None


def use_key(key: ClientKey | None, socket: zmq.Socket[bytes]) -> None:
    """Let the socket use this key; none on this machine."""
    if key is None:
        return
    socket.setsockopt_string(zmq.CURVE_PUBLICKEY, key.pair.public)
    socket.setsockopt_string(zmq.CURVE_SECRETKEY, key.pair.secret)
    socket.setsockopt_string(zmq.CURVE_SERVERKEY, key.server)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MILLISECONDS)


class Line:
    """The connection of one client, made anew for the next request when the supervisor has refused it.

    Over TCP a frame is only given to a connection that stands: one that waited in a queue for a supervisor that was down would
    be carried out after its caller was told that it failed, and its `timeout` would not show that.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, key: ClientKey | None) -> None:
        self._context, self._address, self._key = context, address, key
        self._monitor: zmq.Socket[bytes] | None = None
        self._refused = False
        self._open()

    def _open(self) -> None:
        self.dealer = self._context.socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.LINGER, 0)
        self.dealer.setsockopt(zmq.RECONNECT_IVL, 20)
        self.dealer.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        use_key(self._key, self.dealer)
        if self._key is not None:
            self.dealer.setsockopt(zmq.IMMEDIATE, 1)
            self._monitor = self.dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        self.dealer.connect(self._address)
        self._refused = False

    def connect(self) -> None:
        """Again, if it was refused."""
        if self._refused:
            self.close()
            self._open()

    def wait(self, receiver: zmq.Socket[bytes], milliseconds: int) -> list[str]:
        """What has come: a `reply`, `work` on the receiver, or that this client is `refused`."""
        poller = zmq.Poller()
        names = {self.dealer: "reply", receiver: "work"}
        if self._monitor is not None:
            names[self._monitor] = "refused"
        for socket in names:
            poller.register(socket, zmq.POLLIN)
        found = [names[socket] for socket, _ in poller.poll(milliseconds)]
        if "refused" in found and self._monitor is not None:
            self._monitor.recv_multipart()
            self._refused = True
        return found

    def close(self) -> None:
        """Let go of the sockets."""
        if self._monitor is not None:
            self.dealer.disable_monitor()
            self._monitor = None
        self.dealer.close(0)
