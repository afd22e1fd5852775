"""The supervisor's end of the bus: requests answered, events spread, through whatever endpoints there are (`sockets`).

Every request is a task of its own, so a slow one delays nobody; the same id twice gets the same reply, from memory. What
must not regress: bad frames are answered or dropped and never stop the bus; a peer that is gone raises (ROUTER_MANDATORY)
and is forgotten; a subscriber hears the journal's head at once and with every tick, so that it can notice a gap (a welcome
message could only be one frame); a subscriber that never reads costs bounded memory; whoever comes over TCP takes neither room
nor remembered replies from those on this machine, and the clock of another machine is never compared with ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from shared.access.bus_keys import BusClientKey
from shared.bus.messages import VERSION, ErrorBody, Event, Reply, Request
from shared.errors import (
    Busy,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InternalError,
    InvalidRequest,
    PilotlightError,
    Unauthorized,
)
from supervisor.bus.replies import ACTS, LOOKS, Replies, question
from supervisor.bus.sockets import Endpoint

Handler = Callable[[Request], Awaitable[Any]]
Permit = Callable[[Request, BusClientKey], Request]

TICK_SECONDS = 1.0
WELCOME_SECONDS, MOMENT_SECONDS = 0.1, 0.005
"""The first lies between two words to those who have just subscribed; the second is what one's subscriptions to several topics
lie apart."""

MAX_IN_FLIGHT = 2_000
"""How many requests may be under way from this machine; those over TCP come on top, and cannot take from these."""

LOCAL = ""
MAX_OVER_TCP = 1_000
MAX_PER_KEY = 200
READ_AT_ONCE = 100
MAX_ID_CHARACTERS = 200
ID_REUSED = (
    "This id stands for another request of the last minute, so nothing was done. Give each request an id of its own, such as a "
    "UUID: other programs count from 1, too."
)
CLOSE_MILLISECONDS = 200
"""How long events that were published may take to leave."""
_encoder = msgspec.json.Encoder()
_requests = msgspec.json.Decoder(Request)
_anything = msgspec.json.Decoder(dict[str, Any])


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


def by_our_clock(request: Request, now: int, remote: bool) -> Request:
    """The request with `deadline` and `sent` in the time of this machine, `now` in milliseconds since 1970.

    On this machine the clock is the same, and the earlier of the two limits counts: the absolute one goes on while a frame
    waits for a supervisor that is down. Another machine's clock may say anything: of what it says only differences count.
    """
    if not request.timeout:
        return request
    end = now + request.timeout
    if not remote:
        return msgspec.structs.replace(request, deadline=min(request.deadline or end, end))
    age = max(0, request.deadline - request.sent - request.timeout) if request.deadline else 0
    return msgspec.structs.replace(request, deadline=end, sent=now - age if request.sent else 0)


def _refuse_all(request: Request, client: BusClientKey) -> Request:
    raise Forbidden(f"{client.actor} may do nothing here.")


def _id_in(frame: bytes) -> str:
    """The id of a request that is wrong otherwise, so that whoever sent it knows which one was refused."""
    try:
        found = _anything.decode(frame).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found[:MAX_ID_CHARACTERS] if isinstance(found, str) else ""


@dataclass(frozen=True)
class _Peer:
    """Where a reply goes, and whether it is a REQ socket, which puts an empty frame before its own and wants one back."""

    endpoint: Endpoint
    address: bytes
    delimited: bool = False


@dataclass(frozen=True)
class _Asked:
    """One request, who asks when it is not somebody on this machine, and the name under which its reply is kept."""

    request: Request
    client: BusClientKey | None
    question: bytes

    @property
    def key(self) -> str:
        """Ids are the client's own: nobody is given the reply of somebody else who chose the same one."""
        return self.request.id if self.client is None else f"{self.client.public_key} {self.request.id}"

    @property
    def share(self) -> str:
        """Whose share of what may be under way it takes."""
        return LOCAL if self.client is None else self.client.public_key


@dataclass(frozen=True)
class _Running:
    """A request under way, and everybody who waits for its reply."""

    question: bytes
    peers: list[_Peer]


class Bus:
    """All endpoints. `handle` answers one request or raises a PilotlightError; `looking` names the operations that change
    nothing, whose replies need not be kept for long; `permit` refuses (Forbidden) what the owner of a key may not do."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        handle: Handler,
        log: logging.Logger,
        looking: Container[str] = frozenset(),
        permit: Permit = _refuse_all,
    ) -> None:
        self._endpoints = endpoints
        self._handle = handle
        self._looking = looking
        self._permit = permit
        self._log = log
        self._readable, self._subscribed = asyncio.Event(), asyncio.Event()
        self._kept = {remote: (Replies(ACTS), Replies(LOOKS)) for remote in (False, True)}
        self._running: dict[str, _Running] = {}
        self._shares: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, events: list[Event]) -> None:
        """Send events that are in the journal."""
        for event in events:
            self._spread(event)
        self._look_for_subscribers()

    def _spread(self, event: Event) -> None:
        frames = [event.topic.encode(), _encoder.encode(event)]
        for endpoint in self._endpoints:
            endpoint.publish(frames)

    def announce(self, epoch: str, head: int, node: str = "") -> None:
        """Tell all subscribers where the journal stands. No journal entry: its `seq` is that of the newest one."""
        at = int(time.time() * 1000)
        tick = Event(v=VERSION, epoch=epoch, seq=head, at=at, kind="tick", data={"head": head}, node=node)
        self._spread(tick)

    async def tick(self, epoch: str, head: Callable[[], int], node: str = "") -> None:
        """Announce the head every `TICK_SECONDS`, and soon to whoever has just subscribed; for ever.

        At rest nothing is done in between: a look ten times a second was the half of what an idle supervisor cost.
        """
        for endpoint in self._endpoints:
            endpoint.tell_of_subscribers(self._look_for_subscribers)
        while True:
            self._subscribed.clear()
            self.announce(epoch, head(), node)
            announced = time.monotonic()
            end = announced + TICK_SECONDS
            while not self._subscribed.is_set() and (left := end - time.monotonic()) > 0:
                self._look_for_subscribers()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._subscribed.wait()
            if self._subscribed.is_set():
                # One word for all that come in one moment, and at once: a stream begins with it.
                await asyncio.sleep(max(MOMENT_SECONDS, announced + WELCOME_SECONDS - time.monotonic()))

    def _look_for_subscribers(self) -> None:
        if any([endpoint.subscribed() for endpoint in self._endpoints]):
            self._subscribed.set()

    async def serve(self) -> None:
        """Answer requests until cancelled.

        The socket's descriptor only tells of changes, and sending may swallow one: so everything is read that is there, and
        whoever has sent looks again (zmq_getsockopt(3), ZMQ_FD). This halves a round trip beside `zmq.asyncio`.
        """
        for endpoint in self._endpoints:
            endpoint.open(self._readable.set)
        while True:
            await self._readable.wait()
            self._readable.clear()
            for _ in range(READ_AT_ONCE):
                if not any([self._receive(endpoint) for endpoint in self._endpoints]):
                    break
            else:
                self._readable.set()
                await asyncio.sleep(0)

    def _receive(self, endpoint: Endpoint) -> bool:
        """Take one request from this endpoint, if there is one; whether there was."""
        try:
            delivery = endpoint.receive()
        except Unauthorized as error:
            self._log.info("request_refused", extra={"fields": {"why": error.error_code}})
            return True
        if delivery is None:
            return False
        delimited = len(delivery.frames) > 1 and not delivery.frames[0]
        frames = delivery.frames[1:] if delimited else delivery.frames
        peer = _Peer(endpoint, delivery.peer, delimited)
        try:
            if len(frames) != 1:
                self._log.warning("bad_frames", extra={"fields": {"frames": len(delivery.frames) + 1}})
                raise InvalidRequest(f"A request is one frame, not {len(frames)}.", code="bad_request")
            request = _understand(frames[0])
            if delivery.client is not None:
                request = msgspec.structs.replace(request, actor=delivery.client.actor)
            asked = question(request)
        except InvalidRequest as error:
            self._refuse(peer, _id_in(frames[0]) if frames else "", error)
            return True
        request = by_our_clock(request, int(time.time() * 1000), delivery.client is not None)
        self._take(peer, _Asked(request, delivery.client, asked))
        return True

    def _take(self, peer: _Peer, asked: _Asked) -> None:
        request, key = asked.request, asked.key
        acts, looks = self._kept[asked.client is not None]
        given = acts.get(key) or looks.get(key)
        running = self._running.get(key)
        known = running or given
        if known is not None and known.question != asked.question:
            self._refuse(peer, request.id, Conflict(ID_REUSED, code="id_reused"))
        elif running is not None:
            if peer not in running.peers:
                running.peers.append(peer)
        elif given is not None:
            self._send(peer, given.data)
        elif self._full(asked):
            busy = Busy(
                "Too many requests are waiting. Ask again in a second.", code="bus_busy", data={"retryAfter": 1}
            )
            self._refuse(peer, request.id, busy)
        elif request.deadline and (late := int(time.time() * 1000) - request.deadline) > 0:
            self._log.info("request_too_late", extra={"fields": {"op": request.op}})
            why = "This request came after its `deadline`, so nothing was done. From another machine send `timeout` as well."
            self._refuse(peer, request.id, DeadlineExceeded(why, data={"lateBy": late}))
        else:
            self._running[key] = _Running(asked.question, [peer])
            self._shares[asked.share] += 1
            task = asyncio.create_task(self._answer(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _full(self, asked: _Asked) -> bool:
        """Whether whoever asks has as many requests under way as they may."""
        if asked.client is None:
            return self._shares[LOCAL] >= MAX_IN_FLIGHT
        over_tcp = len(self._running) - self._shares[LOCAL]
        return over_tcp >= MAX_OVER_TCP or self._shares[asked.share] >= MAX_PER_KEY

    async def _answer(self, asked: _Asked) -> None:
        request = asked.request
        try:
            if asked.client is not None:
                request = self._permit(request, asked.client)
            reply = Reply(v=VERSION, id=request.id, ok=True, result=await self._handle(request))
        except PilotlightError as error:
            reply = Reply(v=VERSION, id=request.id, ok=False, error=ErrorBody.of(error))
        except Exception:  # the boundary: a bug answers as one, and is logged with its trace
            self._log.exception("request_failed", extra={"fields": {"op": request.op}})
            bug = InternalError("pilotlight failed to do this; its log says why.")
            reply = Reply(v=VERSION, id=request.id, ok=False, error=ErrorBody.of(bug))
        data = _encoder.encode(reply)
        peers = self._running.pop(asked.key).peers
        self._shares[asked.share] -= 1
        if not self._shares[asked.share]:
            del self._shares[asked.share]
        acts, looks = self._kept[asked.client is not None]
        (looks if request.op in self._looking else acts).remember(asked.key, asked.question, data)
        for peer in peers:
            self._send(peer, data)

    def restore(self) -> bool:
        """Open again what somebody has taken away; whether that had to be done."""
        return any([endpoint.restore() for endpoint in self._endpoints])

    def _refuse(self, peer: _Peer, request_id: str, error: PilotlightError) -> None:
        self._send(peer, _encoder.encode(Reply(v=VERSION, id=request_id, ok=False, error=ErrorBody.of(error))))

    def _send(self, peer: _Peer, data: bytes) -> None:
        try:
            peer.endpoint.reply(peer.address, [b"", data] if peer.delimited else [data])
        except zmq.ZMQError as error:
            self._log.info("peer_gone", extra={"fields": {"why": str(error)}})
        self._readable.set()

    def close(self) -> None:
        """Close the endpoints; nothing more is answered."""
        for task in self._tasks:
            task.cancel()
        for endpoint in self._endpoints:
            endpoint.close(CLOSE_MILLISECONDS)
