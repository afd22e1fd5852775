"""The journals of all nodes as one stream: one connection to each node, whatever the number of readers.

A reader's place is a vector (`api/gateway/cursor.py`). What must not regress: nothing of a node is skipped silently (a missing
number is fetched from the node, a gap that the node declares is passed on with its name), and a node that is away or back is
said in the stream (`event: node`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from api.events.reader import HEARTBEAT_SECONDS, Filter, frame_text
from api.gateway import cursor, ids
from api.gateway.cursor import Place
from api.gateway.here import STREAM_SECONDS
from api.gateway.nodes import Node, Nodes
from api.gateway.upstream import Reply, Upstream
from api.inbox import Inbox
from shared.bus.messages import Event
from shared.errors import PilotlightError

KEPT = 500
"""Events of a node that are kept for those who come back soon."""

JOIN_SECONDS = 0.5
LOOK_SECONDS = 0.5
REPLAY_SECONDS = 10.0
_log = logging.getLogger("pilotlight.gateway")


@dataclass
class Followed:
    """What is known of a node's journal; the newest events end at `seq`, without a gap."""

    name: str
    epoch: str = ""
    seq: int = 0
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT))
    reply: Reply | None = None
    greeted: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Frame:
    """One frame of a node's stream: its id as (epoch, seq), and the event, if it is one."""

    epoch: str
    seq: int
    kind: str = ""
    data: bytes = b""


class Merged:
    """The source of a gateway's events: threads that live while somebody listens."""

    def __init__(self, nodes: Nodes, upstream: Upstream) -> None:
        self._nodes = nodes
        self._upstream = upstream
        self._lock = threading.Lock()
        self._inboxes: set[Inbox] = set()
        self._followed: dict[str, Followed] = {}
        self._states: dict[str, str] = {}
        self._running = False
        self._stopped = False

    # -- readers -----------------------------------------------------------------------------------------------------

    def join(self) -> Inbox:
        """A new inbox; returns when the nodes that answer are followed, or JOIN_SECONDS later."""
        inbox = Inbox()
        with self._lock:
            if self._stopped:
                inbox.end()
                return inbox
            self._inboxes.add(inbox)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="pilotlight-merge", daemon=True).start()
        end = time.monotonic() + JOIN_SECONDS
        for node in self._nodes.all():
            if node.state == "ok":
                self._follow(node).greeted.wait(max(0.0, end - time.monotonic()))
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Forget this inbox; the threads end by themselves after the last one."""
        with self._lock:
            self._inboxes.discard(inbox)

    def stop(self) -> None:
        """End every stream."""
        with self._lock:
            self._stopped = True
            inboxes, followed = list(self._inboxes), list(self._followed.values())
        for inbox in inboxes:
            inbox.end()
        for one in followed:
            if one.reply is not None:
                one.reply.hang_up()

    def heads(self) -> dict[str, Place]:
        """Where every journal stands, as far as it is known."""
        with self._lock:
            return {name: Place(one.seq, one.epoch) for name, one in self._followed.items() if one.greeted.is_set()}

    def away(self) -> list[Node]:
        """The nodes that do not answer now."""
        return [node for node in self._nodes.all() if node.state != "ok"]

    def replay(self, name: str, place: Place, until: int) -> Iterator[Event | Frame]:
        """The events of a node behind this place, up to number `until`, and the gaps that it declares; what is fetched is
        passed on as it comes, since a journal may be long. Raise PilotlightError."""
        with self._lock:
            one = self._followed.get(name)
            kept = list(one.events) if one is not None and place.epoch in (None, one.epoch) else []
        if kept and kept[0].seq <= place.seq + 1:
            return (event for event in kept if place.seq < event.seq <= until)
        return self._fetch(name, place, until)

    def _fetch(self, name: str, place: Place, until: int) -> Iterator[Event | Frame]:
        node = self._nodes.get(name)
        end = time.monotonic() + REPLAY_SECONDS
        reply = self._open(node, f"{place.epoch}:{place.seq}" if place.epoch else str(place.seq), REPLAY_SECONDS)
        try:
            for frame in frames(reply.lines()):
                if frame.kind == "gap":
                    yield frame
                elif frame.kind:
                    yield decoded(frame, name)
                behind = frame.epoch == place.epoch or place.epoch is None
                if (behind and frame.seq >= until and frame.kind) or time.monotonic() > end:
                    return
        finally:
            reply.close()

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """While somebody listens: see that every node is followed, and tell who is away and who is back."""
        while True:
            with self._lock:
                if self._stopped or not self._inboxes:
                    self._running = False
                    for one in self._followed.values():
                        if one.reply is not None:
                            one.reply.hang_up()
                    self._followed.clear()
                    return
            for node in self._nodes.all():
                if node.state == "ok":
                    self._follow(node)
                if self._states.get(node.name, "ok") != node.state:
                    self._tell(Event(v=1, epoch="", seq=0, at=int(time.time() * 1000), kind="node", data=node.view()))
                self._states[node.name] = node.state
            time.sleep(LOOK_SECONDS)

    def _follow(self, node: Node) -> Followed:
        with self._lock:
            one = self._followed.get(node.name)
            if one is None:
                one = self._followed[node.name] = Followed(node.name)
                threading.Thread(target=self._read, args=(one,), name=f"pilotlight-{node.name}", daemon=True).start()
            return one

    def _wanted(self, one: Followed) -> bool:
        with self._lock:
            return not self._stopped and self._followed.get(one.name) is one

    def _read(self, one: Followed) -> None:
        """One node's journal, again and again from where it broke off."""
        while self._wanted(one):
            try:
                node = self._nodes.get(one.name)
                since = f"{one.epoch}:{one.seq}" if one.epoch else None
                one.reply = self._open(node, since, STREAM_SECONDS)
                try:
                    for frame in frames(one.reply.lines()):
                        if not self._wanted(one):  # it came to stand when the last reader had left
                            break
                        self._take(one, frame)
                finally:
                    one.reply.close()
            except (PilotlightError, msgspec.MsgspecError) as error:
                _log.debug("not_followed", extra={"fields": {"node": one.name, "why": str(error)}})
            one.reply = None
            time.sleep(LOOK_SECONDS)

    def _open(self, node: Node, since: str | None, timeout: float) -> Reply:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": since} if since else {})}
        reply = self._upstream.send(node, "GET", "/api/events", headers, timeout=timeout)
        if reply.status != 200:
            reply.close()
            raise PilotlightError(f"The node {node.name} refuses its events ({reply.status}).")
        return reply

    def _take(self, one: Followed, frame: Frame) -> None:
        if frame.kind == "gap":
            with self._lock:
                one.epoch, one.seq, one.events = msgspec.json.decode(frame.data)["epoch"], 0, deque(maxlen=KEPT)
            self._tell(gap(frame, one.name))
            return
        with self._lock:
            one.epoch, one.seq = frame.epoch or one.epoch, max(frame.seq, one.seq if frame.epoch == one.epoch else 0)
        if frame.kind:
            event = decoded(frame, one.name)
            with self._lock:
                one.events.append(event)
            self._tell(event)
        else:
            tick = Event(v=1, epoch=one.epoch, seq=0, at=0, kind="tick", data={"head": one.seq}, node=one.name)
            self._tell(tick)
            one.greeted.set()

    def _tell(self, event: Event) -> None:
        with self._lock:
            inboxes = list(self._inboxes)
        for inbox in inboxes:
            inbox.put(event)


def frames(lines: Iterator[bytes]) -> Iterator[Frame]:
    """The frames of a node's stream: events, and greetings and heartbeats without a kind."""
    epoch, seq, kind, data = "", 0, "", b""
    for line in lines:
        if line.startswith(b"id: "):
            epoch, _, place = line[4:].decode().strip().rpartition(":")
            seq = int(place.partition("+")[0])
        elif line.startswith(b"event: "):
            kind = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            data = line[6:]
        elif line == b"\n":
            yield Frame(epoch, seq, kind, data)
            kind, data = "", b""


def decoded(frame: Frame, node: str) -> Event:
    """The event with outside ids; `node` is its name, as everywhere outside."""
    event = msgspec.json.decode(frame.data, type=Event)
    session = ids.outside(node, event.session) if event.session else None
    return msgspec.structs.replace(event, session=session, data=ids.outward(event.data, node), node=node)


def gap(frame: Frame, node: str) -> Event:
    """A gap that a node has declared."""
    body: dict[str, Any] = {**msgspec.json.decode(frame.data), "node": node}
    return Event(v=1, epoch=body.get("epoch", ""), seq=0, at=0, kind="gap", data=body, node=node)


class Reader:
    """One stream of the merged events. `places` is where the client stands; a node that is not in it is followed from now on."""

    def __init__(self, source: Merged, inbox: Inbox, wanted: Filter, start: dict[str, Place] | None) -> None:
        self._source = source
        self._inbox = inbox
        self._wanted = wanted
        heads = source.heads()
        self._places = {**heads, **(start or {})}
        self._behind = [name for name in start or {} if name in heads]

    def texts(self, gone: Callable[[], bool]) -> Iterator[str]:
        """The stream as it goes over the wire, until the source ends or the client is gone."""
        yield f": pilotlight events\nretry: 1000\n{self._id_line()}\n"
        for node in self._source.away():
            yield self._id_line() + frame_text("node", node.view())
        heads = self._source.heads()
        for name in self._behind:
            yield from self._catch_up(name, heads[name].epoch, heads[name].seq)
        quiet_since = time.monotonic()
        while not self._inbox.ended:
            event = self._inbox.next(1.0)
            for text in self._advance(event) if event is not None else ():
                yield text
                quiet_since = time.monotonic()
            if time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                yield f": heartbeat\n{self._id_line()}\n"
                quiet_since = time.monotonic()
            if event is None and gone():
                return

    def _advance(self, event: Event) -> Iterator[str]:
        if event.kind == "node":
            yield self._id_line() + frame_text("node", event.data)
            return
        if event.kind == "gap":
            yield from self._gap(event)
            return
        name = event.node
        place = self._places.get(name)
        tick = event.kind == "tick"
        seq = int(event.data["head"]) if tick else event.seq
        if place is None or place.loose:
            self._places[name] = Place(seq if tick else seq - 1, event.epoch, loose=False)
            place = self._places[name]
        if place.epoch is None:
            place = self._places[name] = replace(place, epoch=event.epoch)
        if event.epoch == place.epoch and seq <= place.seq:
            return
        if tick or event.epoch != place.epoch or seq > place.seq + 1:
            yield from self._catch_up(name, event.epoch, seq)
        elif not tick:
            yield from self._show(event)

    def _catch_up(self, name: str, epoch: str | None, until: int) -> Iterator[str]:
        """Everything of the node up to this number; when it cannot be had now, its next event brings us back here."""
        place = self._places[name]
        if place.epoch in (None, epoch) and place.seq >= until:
            return
        with suppress(PilotlightError):
            for one in self._source.replay(name, place, until):
                if isinstance(one, Frame):
                    yield from self._gap(gap(one, name))
                elif one.seq > self._places[name].seq or self._places[name].loose:
                    yield from self._show(one)

    def _gap(self, event: Event) -> Iterator[str]:
        self._places[event.node] = Place(0, event.epoch, loose=True)
        yield frame_text("gap", event.data)

    def _show(self, event: Event) -> Iterator[str]:
        self._places[event.node] = Place(event.seq, event.epoch)
        if self._wanted.admits(event):
            yield f"{self._id_line()}{frame_text(event.kind, event)}"

    def _id_line(self) -> str:
        return f"id: {cursor.text(self._places)}\n" if self._places else ""
