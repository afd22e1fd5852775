"""The sockets of the bus: an endpoint on this machine (ipc), and, when the configuration asks for it, one over TCP.

What must not regress: over TCP everything is CurveZMQ and only keys that were added come in (a socket without keys, or
with a mechanism other than CURVE, gets nowhere, and without somebody to ask about a key nobody does); whose key is revoked
is cut off within `CHECK_SECONDS`; what comes over TCP has a ZeroMQ context, so an I/O thread, of its own; and a TCP port that
cannot be had costs nothing but the TCP endpoint.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import zmq
from zmq.auth import Authenticator

from shared.access.bus_keys import BusClientKey, BusKeyring, KeyPair
from shared.bus.connection import new_key_pair
from shared.bus.messages import MAX_FRAME_BYTES
from shared.config import BusConfig
from shared.errors import PilotlightError, StorageFailed, Unauthorized

EVENT_HIGH_WATER = 10_000
"""Events that may wait for one slow subscriber. Measured with 0.8 kB each: a stalled one costs 9 MB (50,000 cost 46 MB), and
ten that read lose nothing in a burst of 8,000; what is lost beyond that is in the journal."""

SUBSCRIPTIONS_AT_ONCE = 1_000
MAX_SUBSCRIPTION_BYTES = 4096
HANDSHAKE_SECONDS = 5.0
"""How long a connection over TCP may take to prove itself."""

HEARTBEAT_SECONDS = 10.0
"""A peer over TCP that does not answer for three of these is gone (a laptop that was closed)."""

CHECK_SECONDS = 1.0
LOOK_SECONDS = 0.1
"""How long subscriptions over TCP are let wait after a look at them."""

DOMAIN = "pilotlight"


@dataclass(frozen=True)
class Delivery:
    """What came in: the peer to answer, its frames, and whose key it was (None: somebody on this machine)."""

    peer: bytes
    frames: list[bytes]
    client: BusClientKey | None = None


class Endpoint(Protocol):
    """One ROUTER and one XPUB."""

    def open(self, changed: Callable[[], None]) -> None:
        """Start to hear; `changed` is called in the loop when there may be requests."""

    def receive(self) -> Delivery | None:
        """The next request, or None. Raise Unauthorized for a key that was revoked meanwhile."""

    def reply(self, peer: bytes, frames: list[bytes]) -> None:
        """Send one reply, or raise ZMQError when the peer is gone."""

    def publish(self, frames: list[bytes]) -> None:
        """Send one event to all subscribers."""

    def subscribed(self) -> bool:
        """Whether somebody has subscribed since the last look."""

    def tell_of_subscribers(self, news: Callable[[], None]) -> None:
        """Have `news` called in the loop when somebody may have subscribed, which has to look at once; sending may swallow one
        call."""

    def restore(self) -> bool:
        """Open again what somebody has taken away; whether that had to be done."""

    def close(self, patience_ms: int) -> None:
        """Nothing more is heard or said."""


def _router(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.SNDHWM, 10_000)
    socket.setsockopt(zmq.RCVHWM, 10_000)
    return socket


def _publisher(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    socket.setsockopt(zmq.LINGER, 200)
    socket.setsockopt(zmq.SNDHWM, EVENT_HIGH_WATER)
    return socket


def _has_news(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


def _has_subscriptions(socket: zmq.Socket[bytes]) -> bool:
    fresh = False
    for _ in range(SUBSCRIPTIONS_AT_ONCE):
        if not _has_news(socket):  # asked after whatever is sent: an exception for "nothing" would cost
            break
        fresh = socket.recv(zmq.NOBLOCK)[:1] == b"\x01" or fresh
    return fresh


def _path(address: str) -> Path:
    return Path(address.removeprefix("ipc://"))


def _bind(socket: zmq.Socket[Any], address: str) -> None:
    """Bind where a dead supervisor may have left its file. Raise StorageFailed when the disk refuses."""
    try:
        _path(address).unlink(missing_ok=True)
        socket.bind(address)
        _path(address).chmod(0o600)
    except (zmq.ZMQError, OSError) as error:
        raise StorageFailed(f"The bus cannot be opened at {address}: {error}.") from error


class LocalEndpoint:
    """Unix sockets in the run directory: whoever can open them is the user who runs pilotlight."""

    def __init__(self, request_address: str, event_address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router, self._events = _router(self._context), _publisher(self._context)
        self._bound = ((self._router, request_address), (self._events, event_address))
        for socket, address in self._bound:
            _bind(socket, address)
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, changed: Callable[[], None]) -> None:
        """See Endpoint."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(int(self._router.get(zmq.FD)), changed)
        changed()

    def receive(self) -> Delivery | None:
        """See Endpoint."""
        if not _has_news(self._router):
            return None
        peer, *frames = self._router.recv_multipart(zmq.NOBLOCK)
        return Delivery(peer, frames)

    def reply(self, peer: bytes, frames: list[bytes]) -> None:
        """See Endpoint."""
        self._router.send_multipart([peer, *frames], zmq.NOBLOCK)

    def publish(self, frames: list[bytes]) -> None:
        """See Endpoint."""
        self._events.send_multipart(frames, zmq.NOBLOCK)

    def subscribed(self) -> bool:
        """See Endpoint."""
        return _has_subscriptions(self._events)

    def tell_of_subscribers(self, news: Callable[[], None]) -> None:
        """See Endpoint."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(int(self._events.get(zmq.FD)), news)

    def restore(self) -> bool:
        """Bind again where somebody deleted a socket's file. Who was connected stays so; who comes anew finds us again.
        The old listener is kept: unbinding would remove the new file."""
        missing = [one for one in self._bound if not _path(one[1]).exists()]
        for socket, address in missing:
            _bind(socket, address)
        return bool(missing)

    def close(self, patience_ms: int) -> None:
        """See Endpoint."""
        if self._loop is not None:
            for socket, _ in self._bound:
                self._loop.remove_reader(int(socket.get(zmq.FD)))
        self._router.close(0)
        self._events.close(patience_ms)
        self._context.term()


class TcpEndpoint:
    """For other machines. Closed (`error` says why) while its ports cannot be had; tried again every `CHECK_SECONDS`."""

    def __init__(self, config: BusConfig, keyring: BusKeyring, log: logging.Logger) -> None:
        assert config.tcp_host is not None
        self._host, self._ports = config.tcp_host, [config.tcp_request_port, config.tcp_event_port]
        self._keyring = keyring
        self._log = log
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._zap = _ZapHandler(self._context, keyring, log)
        self._changed: Callable[[], None] = lambda: None
        self._news: Callable[[], None] = lambda: None
        self._deaf: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._key: KeyPair | None = None
        self.error: str | None = None

    def open(self, changed: Callable[[], None]) -> None:
        """See Endpoint."""
        self._changed = changed
        self._zap.start()
        self._open_sockets()
        self._watch = asyncio.create_task(self._tend())

    def facts(self) -> dict[str, Any]:
        """Where it listens and with which key, for those who may connect; `error` when it does not."""
        requests, events = (f"tcp://{self._host}:{port}" for port in self._ports)
        key = self._key.public if self._key else None
        return {"requests": requests, "events": events, "serverKey": key, "error": self.error}

    def receive(self) -> Delivery | None:
        """See Endpoint."""
        if not self._sockets or not _has_news(self._sockets[0]):
            return None
        peer, *frames = self._sockets[0].recv_multipart(zmq.NOBLOCK, copy=False)
        client = self._keyring.clients.identify(str(frames[-1].get("User-Id"))) if frames else None
        if client is None:
            raise Unauthorized("This key was revoked.", code="key_revoked")
        return Delivery(peer.bytes, [frame.bytes for frame in frames], client)

    def reply(self, peer: bytes, frames: list[bytes]) -> None:
        """See Endpoint."""
        if self._sockets:
            self._sockets[0].send_multipart([peer, *frames], zmq.NOBLOCK)

    def publish(self, frames: list[bytes]) -> None:
        """See Endpoint."""
        if self._sockets:
            self._sockets[1].send_multipart(frames, zmq.NOBLOCK)

    def subscribed(self) -> bool:
        """See Endpoint."""
        return bool(self._sockets) and _has_subscriptions(self._sockets[1])

    def tell_of_subscribers(self, news: Callable[[], None]) -> None:
        """See Endpoint. Others decide how often something comes here: one look, and then none for LOOK_SECONDS."""
        self._news = news
        if self._sockets:
            self._hear()

    def _hear(self) -> None:
        self._news()  # what came while nobody heard
        asyncio.get_running_loop().add_reader(int(self._sockets[1].get(zmq.FD)), self._told)

    def _told(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(int(self._sockets[1].get(zmq.FD)))
        self._news()
        self._deaf = loop.call_later(LOOK_SECONDS, self._hear)

    def restore(self) -> bool:
        """See Endpoint. This one tries by itself."""
        return False

    def close(self, patience_ms: int) -> None:
        """See Endpoint."""
        if self._watch is not None:
            self._watch.cancel()
        self._close_sockets(patience_ms)
        self._zap.stop()
        self._context.term()

    def _open_sockets(self) -> None:
        made: list[zmq.Socket[bytes]] = []
        try:
            self._key = self._keyring.server.ensure(new_key_pair)
            for index, make in enumerate((_router, _publisher)):
                made.append(make(self._context))
                self._protect(made[-1], self._key)
                if make is _publisher:
                    made[-1].setsockopt(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)  # counts for what is bound afterwards
                made[-1].bind(f"tcp://{self._host}:{self._ports[index] or '*'}")
                self._ports[index] = int(made[-1].getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        except (zmq.ZMQError, PilotlightError) as error:
            for socket in made:
                socket.close(0)
            self._say(
                f"The bus cannot be opened at {self._host}, ports {self._ports[0]} and {self._ports[1]}: {error}."
            )
            return
        self._sockets = made
        asyncio.get_running_loop().add_reader(int(made[0].get(zmq.FD)), self._changed)
        self._changed()
        self._hear()
        self._say(None)

    def _say(self, error: str | None) -> None:
        if error != self.error:
            self._log.log(logging.WARNING if error else logging.INFO, "bus_tcp", extra={"fields": {"error": error}})
        self.error = error

    @staticmethod
    def _protect(socket: zmq.Socket[bytes], key: KeyPair) -> None:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt_string(zmq.CURVE_SECRETKEY, key.secret)
        socket.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, int(1000 * HANDSHAKE_SECONDS))
        socket.setsockopt(zmq.HEARTBEAT_IVL, int(1000 * HEARTBEAT_SECONDS))
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(3000 * HEARTBEAT_SECONDS))

    def _close_sockets(self, patience_ms: int) -> None:
        sockets, self._sockets = self._sockets, []
        if self._deaf is not None:
            self._deaf.cancel()
        for socket in sockets:
            asyncio.get_running_loop().remove_reader(int(socket.get(zmq.FD)))
            socket.close(patience_ms)

    async def _tend(self) -> None:
        """Cut off whose key was revoked (a socket cannot drop one peer, so both are opened anew, and everybody else comes back by
        itself), and open what could not be opened."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._sockets and self._zap.forget_the_revoked():
                self._close_sockets(0)
            if not self._sockets:
                self._open_sockets()


class _ZapHandler:
    """Answers ZeroMQ's question whether a key may come in (ZAP, https://rfc.zeromq.org/spec/27/)."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keyring: BusKeyring, log: logging.Logger) -> None:
        self._keyring = keyring
        self._log = log
        self._authenticator = Authenticator(context)
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._admitted: set[str] = set()
        self._noted = 0.0

    def start(self) -> None:
        """Answer from now on."""
        self._authenticator.start()
        self._authenticator.configure_curve_callback(DOMAIN, self)
        asyncio.get_running_loop().add_reader(int(self._authenticator.zap_socket.get(zmq.FD)), self._asked.set)
        self._task = asyncio.create_task(self._answer())

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether this key may come in; called by the Authenticator."""
        client = self._keyring.clients.identify(key.decode("ascii"))
        if client is None:
            if (now := time.monotonic()) - self._noted >= CHECK_SECONDS:  # one that never stops must not fill the log
                self._noted = now
                self._log.warning("bus_key_refused", extra={"fields": {"publicKey": key.decode("ascii")}})
            return False
        self._admitted.add(client.public_key)
        return True

    def forget_the_revoked(self) -> bool:
        """Whether a key that came in counts no more."""
        gone = {key for key in self._admitted if self._keyring.clients.identify(key) is None}
        self._admitted -= gone
        return bool(gone)

    async def _answer(self) -> None:
        self._asked.set()
        while True:
            await self._asked.wait()
            self._asked.clear()
            while _has_news(self._authenticator.zap_socket):
                await self._authenticator.handle_zap_message(self._authenticator.zap_socket.recv_multipart(zmq.NOBLOCK))

    def stop(self) -> None:
        """Answer no more."""
        if self._task is not None:
            self._task.cancel()
            asyncio.get_running_loop().remove_reader(int(self._authenticator.zap_socket.get(zmq.FD)))
            self._authenticator.stop()
