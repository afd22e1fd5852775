"""The supervisor's end of the bus: ROUTER for requests, XPUB for events.

Every request is a task of its own, so a slow one delays nobody; the same id twice gets the same reply, from memory. What
must not regress: bad frames are answered or dropped and never stop the bus; a peer that is gone raises (ROUTER_MANDATORY)
and is forgotten; a subscriber hears the journal's head at once and with every tick, so that it can notice a gap (a welcome
message could only be one frame); and a subscriber that never reads costs bounded memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Container
from pathlib import Path
from typing import Any

import msgspec
import zmq

from shared.errors import InternalError, InvalidRequest, PilotlightError, StorageFailed
from shared.messages import MAX_FRAME_BYTES, VERSION, ErrorBody, Event, Reply, Request
from supervisor.replies import ACTS, LOOKS, Replies

Handler = Callable[[Request], Awaitable[Any]]

TICK_SECONDS = 1.0
WELCOME_SECONDS = 0.1
MAX_IN_FLIGHT = 2_000
READ_AT_ONCE = 100
MAX_ID_CHARACTERS = 200
EVENT_HIGH_WATER = 10_000
"""Events that may wait for one slow subscriber. Measured with 0.8 kB each: a stalled one costs 9 MB (50,000 cost 46 MB), and
ten that read lose nothing in a burst of 8,000; what is lost beyond that is in the journal."""

_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(Request)
_anything = msgspec.json.Decoder(dict[str, Any])


def error_body(error: PilotlightError) -> ErrorBody:
    """The wire form of an error; the bus maps them here and nowhere else."""
    return ErrorBody(
        code=error.error_code,
        message=error.message,
        status=error.status,
        retryable=error.retryable,
        data=error.data,
    )


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


def _understand(frame: bytes) -> Request:
    """The request in a frame. Raise InvalidRequest."""
    try:
        request = _requests.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The request is not valid: {error}.", code="bad_request") from error
    if request.v != VERSION:
        raise InvalidRequest(f"This supervisor speaks version {VERSION}, not {request.v}.", code="version")
    if len(request.id) > MAX_ID_CHARACTERS:
        raise InvalidRequest(f"A request's id has at most {MAX_ID_CHARACTERS} characters.", code="bad_request")
    return request


def _identity(frame: bytes) -> str:
    """The id of a request that is wrong otherwise, so that whoever sent it knows which one was refused."""
    try:
        found = _anything.decode(frame).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found[:MAX_ID_CHARACTERS] if isinstance(found, str) else ""


class Bus:
    """Both sockets. `handle` answers one request or raises a PilotlightError; `looking` names the operations that change
    nothing, whose replies need not be kept for long."""

    def __init__(
        self,
        request_address: str,
        event_address: str,
        handle: Handler,
        log: logging.Logger,
        looking: Container[str] = frozenset(),
    ) -> None:
        self._handle = handle
        self._looking = looking
        self._log = log
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._readable = asyncio.Event()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._router.setsockopt(zmq.SNDHWM, 10_000)
        self._router.setsockopt(zmq.RCVHWM, 10_000)
        self._events = self._context.socket(zmq.XPUB)
        self._events.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._events.setsockopt(zmq.LINGER, 200)
        self._events.setsockopt(zmq.SNDHWM, EVENT_HIGH_WATER)
        self._acts, self._looks = Replies(ACTS), Replies(LOOKS)
        self._running: dict[str, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = ((self._router, request_address), (self._events, event_address))
        for socket, address in self._places:
            _bind(socket, address)

    def publish(self, events: list[Event]) -> None:
        """Send events that are in the journal."""
        for event in events:
            self._events.send_multipart([event.topic.encode(), _encoder.encode(event)], zmq.NOBLOCK)

    def announce(self, epoch: str, head: int) -> None:
        """Tell all subscribers where the journal stands. No journal entry: its `seq` is that of the newest one."""
        tick = Event(v=VERSION, epoch=epoch, seq=head, at=int(time.time() * 1000), kind="tick", data={"head": head})
        self._events.send_multipart([tick.topic.encode(), _encoder.encode(tick)], zmq.NOBLOCK)

    async def tick(self, epoch: str, head: Callable[[], int]) -> None:
        """Announce the head every `TICK_SECONDS`, and at once to whoever has just subscribed; for ever."""
        last = 0.0
        while True:
            if self._take_subscriptions() or time.monotonic() - last >= TICK_SECONDS:
                last = time.monotonic()
                self.announce(epoch, head())
            await asyncio.sleep(WELCOME_SECONDS)

    def _take_subscriptions(self) -> bool:
        fresh = False
        while (
            int(self._events.get(zmq.EVENTS)) & zmq.POLLIN
        ):  # ten times a second: an exception for "nothing" would cost
            fresh = self._events.recv(zmq.NOBLOCK)[:1] == b"\x01" or fresh
        return fresh

    async def serve(self) -> None:
        """Answer requests until cancelled.

        The socket's descriptor only tells of changes, and sending may swallow one: so everything is read that is there, and
        whoever has sent looks again (zmq_getsockopt(3), ZMQ_FD). This halves a round trip beside `zmq.asyncio`.
        """
        loop = asyncio.get_running_loop()
        descriptor = int(self._router.get(zmq.FD))
        loop.add_reader(descriptor, self._readable.set)
        self._readable.set()
        try:
            while True:
                await self._readable.wait()
                self._readable.clear()
                for _ in range(READ_AT_ONCE):
                    if not self._has_requests():
                        break
                    self._receive(self._router.recv_multipart(zmq.NOBLOCK))
                else:
                    self._readable.set()
                    await asyncio.sleep(0)
        finally:
            loop.remove_reader(descriptor)

    def _has_requests(self) -> bool:
        return bool(int(self._router.get(zmq.EVENTS)) & zmq.POLLIN)

    def _receive(self, frames: list[bytes]) -> None:
        peer = frames[0]
        if len(frames) != 2:
            self._log.warning("bad_frames", extra={"fields": {"frames": len(frames)}})
            return
        try:
            request = _understand(frames[1])
        except InvalidRequest as error:
            self._refuse(peer, _identity(frames[1]), error)
            return
        self._take(peer, request)

    def _take(self, peer: bytes, request: Request) -> None:
        known = self._acts.get(request.id) or self._looks.get(request.id)
        if known is not None:
            self._send(peer, known)
        elif request.id in self._running:
            if peer not in self._running[request.id]:
                self._running[request.id].append(peer)
        elif len(self._running) >= MAX_IN_FLIGHT:
            busy = PilotlightError("Too many requests are waiting.", code="bus_busy")
            busy.data["retryAfter"] = 1
            self._refuse(peer, request.id, busy, status=429)
        elif request.deadline and request.deadline < time.time() * 1000:
            self._log.info("request_too_late", extra={"fields": {"op": request.op}})
        else:
            self._running[request.id] = [peer]
            task = asyncio.create_task(self._answer(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            reply = Reply(v=VERSION, id=request.id, ok=True, result=await self._handle(request))
        except PilotlightError as error:
            reply = Reply(v=VERSION, id=request.id, ok=False, error=error_body(error))
        except Exception:  # the boundary: a bug answers as one, and is logged with its trace
            self._log.exception("request_failed", extra={"fields": {"op": request.op}})
            bug = InternalError("pilotlight failed to do this; its log says why.")
            reply = Reply(v=VERSION, id=request.id, ok=False, error=error_body(bug))
        data = _encoder.encode(reply)
        peers = self._running.pop(request.id, [])
        (self._looks if request.op in self._looking else self._acts).remember(request.id, data)
        for peer in peers:
            self._send(peer, data)

    def heal(self) -> bool:
        """Bind again where somebody deleted a socket's file. Who was connected stays so; who comes anew finds us again.
        The old listener is kept: unbinding would remove the new file. Return whether it had to be done."""
        missing = [place for place in self._places if not _path(place[1]).exists()]
        for socket, address in missing:
            _bind(socket, address)
        return bool(missing)

    def _refuse(self, peer: bytes, identity: str, error: PilotlightError, status: int | None = None) -> None:
        body = error_body(error)
        if status is not None:
            body = msgspec.structs.replace(body, status=status, retryable=True)
        self._send(peer, _encoder.encode(Reply(v=VERSION, id=identity, ok=False, error=body)))

    def _send(self, peer: bytes, data: bytes) -> None:
        try:
            self._router.send_multipart([peer, data], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            self._log.info("peer_gone", extra={"fields": {"why": str(error)}})
        if self._has_requests():
            self._readable.set()

    def close(self) -> None:
        """Close the sockets; nothing more is answered."""
        for task in self._tasks:
            task.cancel()
        self._router.close(0)
        self._events.close(200)
        self._context.term()
