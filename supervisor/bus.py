"""The supervisor's end of the bus: requests answered, events spread, through whatever doors there are (bus_doors).

Every request is a task of its own, so a slow one delays nobody; the same id twice gets the same reply, from memory. What
must not regress: bad frames are answered or dropped and never stop the bus; a peer that is gone raises (ROUTER_MANDATORY)
and is forgotten; a subscriber hears the journal's head at once and with every tick, so that it can notice a gap (a welcome
message could only be one frame); and a subscriber that never reads costs bounded memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from shared.bus_keys import BusClientKey
from shared.errors import Forbidden, InternalError, InvalidRequest, PilotlightError, Unauthorized
from shared.messages import VERSION, ErrorBody, Event, Reply, Request
from supervisor.bus_doors import Door
from supervisor.replies import ACTS, LOOKS, Replies

Handler = Callable[[Request], Awaitable[Any]]
Permit = Callable[[Request, BusClientKey], Request]

TICK_SECONDS = 1.0
WELCOME_SECONDS = 0.1
MAX_IN_FLIGHT = 2_000
READ_AT_ONCE = 100
MAX_ID_CHARACTERS = 200
CLOSE_MILLISECONDS = 200
"""How long events that were published may take to leave."""
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


def _refuse_all(request: Request, client: BusClientKey) -> Request:
    raise Forbidden(f"{client.actor} may do nothing here.")


def _identity(frame: bytes) -> str:
    """The id of a request that is wrong otherwise, so that whoever sent it knows which one was refused."""
    try:
        found = _anything.decode(frame).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found[:MAX_ID_CHARACTERS] if isinstance(found, str) else ""


@dataclass(frozen=True)
class _Peer:
    """Where a reply goes."""

    door: Door
    identity: bytes


@dataclass(frozen=True)
class _Asked:
    """One request, who asks when it is not somebody on this machine, and the name under which its reply is kept."""

    request: Request
    client: BusClientKey | None

    @property
    def key(self) -> str:
        """Ids are the client's own: nobody is given the reply of somebody else who chose the same one."""
        return self.request.id if self.client is None else f"{self.client.public_key} {self.request.id}"


class Bus:
    """All doors. `handle` answers one request or raises a PilotlightError; `looking` names the operations that change
    nothing, whose replies need not be kept for long; `permit` refuses (Forbidden) what the owner of a key may not do."""

    def __init__(
        self,
        doors: Sequence[Door],
        handle: Handler,
        log: logging.Logger,
        looking: Container[str] = frozenset(),
        permit: Permit = _refuse_all,
    ) -> None:
        self._doors = doors
        self._handle = handle
        self._looking = looking
        self._permit = permit
        self._log = log
        self._readable = asyncio.Event()
        self._acts, self._looks = Replies(ACTS), Replies(LOOKS)
        self._running: dict[str, list[_Peer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, events: list[Event]) -> None:
        """Send events that are in the journal."""
        for event in events:
            self._spread(event)

    def _spread(self, event: Event) -> None:
        frames = [event.topic.encode(), _encoder.encode(event)]
        for door in self._doors:
            door.publish(frames)

    def announce(self, epoch: str, head: int) -> None:
        """Tell all subscribers where the journal stands. No journal entry: its `seq` is that of the newest one."""
        tick = Event(v=VERSION, epoch=epoch, seq=head, at=int(time.time() * 1000), kind="tick", data={"head": head})
        self._spread(tick)

    async def tick(self, epoch: str, head: Callable[[], int]) -> None:
        """Announce the head every `TICK_SECONDS`, and at once to whoever has just subscribed; for ever."""
        last = 0.0
        while True:
            if any([door.subscribed() for door in self._doors]) or time.monotonic() - last >= TICK_SECONDS:
                last = time.monotonic()
                self.announce(epoch, head())
            await asyncio.sleep(WELCOME_SECONDS)

    async def serve(self) -> None:
        """Answer requests until cancelled.

        The socket's descriptor only tells of changes, and sending may swallow one: so everything is read that is there, and
        whoever has sent looks again (zmq_getsockopt(3), ZMQ_FD). This halves a round trip beside `zmq.asyncio`.
        """
        for door in self._doors:
            door.open(self._readable.set)
        while True:
            await self._readable.wait()
            self._readable.clear()
            for _ in range(READ_AT_ONCE):
                if not any([self._receive(door) for door in self._doors]):
                    break
            else:
                self._readable.set()
                await asyncio.sleep(0)

    def _receive(self, door: Door) -> bool:
        """Take one request from this door, if there is one; whether there was."""
        try:
            delivery = door.receive()
        except Unauthorized as error:
            self._log.info("request_refused", extra={"fields": {"why": error.error_code}})
            return True
        if delivery is None:
            return False
        peer = _Peer(door, delivery.peer)
        if len(delivery.frames) != 1:
            self._log.warning("bad_frames", extra={"fields": {"frames": len(delivery.frames) + 1}})
            return True
        try:
            request = _understand(delivery.frames[0])
        except InvalidRequest as error:
            self._refuse(peer, _identity(delivery.frames[0]), error)
            return True
        if delivery.client is not None:
            request = msgspec.structs.replace(request, actor=delivery.client.actor)
        self._take(peer, _Asked(request, delivery.client))
        return True

    def _take(self, peer: _Peer, asked: _Asked) -> None:
        request, key = asked.request, asked.key
        known = self._acts.get(key) or self._looks.get(key)
        if known is not None:
            self._send(peer, known)
        elif key in self._running:
            if peer not in self._running[key]:
                self._running[key].append(peer)
        elif len(self._running) >= MAX_IN_FLIGHT:
            busy = PilotlightError("Too many requests are waiting.", code="bus_busy")
            busy.data["retryAfter"] = 1
            self._refuse(peer, request.id, busy, status=429)
        elif request.deadline and request.deadline < time.time() * 1000:
            self._log.info("request_too_late", extra={"fields": {"op": request.op}})
        else:
            self._running[key] = [peer]
            task = asyncio.create_task(self._answer(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: _Asked) -> None:
        request = asked.request
        try:
            if asked.client is not None:
                request = self._permit(request, asked.client)
            reply = Reply(v=VERSION, id=request.id, ok=True, result=await self._handle(request))
        except PilotlightError as error:
            reply = Reply(v=VERSION, id=request.id, ok=False, error=error_body(error))
        except Exception:  # the boundary: a bug answers as one, and is logged with its trace
            self._log.exception("request_failed", extra={"fields": {"op": request.op}})
            bug = InternalError("pilotlight failed to do this; its log says why.")
            reply = Reply(v=VERSION, id=request.id, ok=False, error=error_body(bug))
        data = _encoder.encode(reply)
        peers = self._running.pop(asked.key, [])
        (self._looks if request.op in self._looking else self._acts).remember(asked.key, data)
        for peer in peers:
            self._send(peer, data)

    def heal(self) -> bool:
        """Open again what somebody has taken away; whether that had to be done."""
        return any([door.heal() for door in self._doors])

    def _refuse(self, peer: _Peer, identity: str, error: PilotlightError, status: int | None = None) -> None:
        body = error_body(error)
        if status is not None:
            body = msgspec.structs.replace(body, status=status, retryable=True)
        self._send(peer, _encoder.encode(Reply(v=VERSION, id=identity, ok=False, error=body)))

    def _send(self, peer: _Peer, data: bytes) -> None:
        try:
            peer.door.reply(peer.identity, data)
        except zmq.ZMQError as error:
            self._log.info("peer_gone", extra={"fields": {"why": str(error)}})
        self._readable.set()

    def close(self) -> None:
        """Close the doors; nothing more is answered."""
        for task in self._tasks:
            task.cancel()
        for door in self._doors:
            door.close(CLOSE_MILLISECONDS)
