"""What every call of the gateway needs, and how one request goes to one node in a person's name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec
from flask import Response, current_app, g, request

from api.context import Api, api
from api.events import responses
from api.gateway import ids
from api.gateway.nodes import Node, Nodes
from api.gateway.upstream import Reply, Upstream
from api.http.problems import json_response
from shared.access.persons import PERSON_HEADER, signed
from shared.access.tokens import Identity
from shared.errors import Unavailable

EXTENSION = "pilotlight.gateway"
SLACK_SECONDS = 60.0
"""What a node may take beyond the wait that it was asked for: it may have to start `claude`."""

STREAM_SECONDS = 45.0
"""A stream that says nothing for three heartbeats is over."""

WHOLE_BYTES = 4 * 1024 * 1024
WATCH_SECONDS = 0.5
KNOWN = 4096

_PASSED = ("Content-Type", "Content-Disposition", "Content-Security-Policy", "Retry-After", "X-Request-Id",
           "Pilotlight-Node", "Pilotlight-Epoch", "X-Accel-Buffering")  # fmt: skip
_MESSAGES = frozenset({"/api/chat", "/api/sessions/<id>/messages"})
_SENT = ("Accept", "Last-Event-ID", "User-Agent")


class Recent:
    """A bounded memory: what is forgotten is asked for again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._items: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any) -> Any:
        """What was noted, or None."""
        with self._lock:
            return self._items.get(key)

    def note(self, key: Any, value: Any) -> None:
        """Remember it; beyond the size the oldest is forgotten."""
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > self._size:
                self._items.popitem(last=False)


class Watch:
    """Hangs up on nodes for clients that have gone: one thread for all streams, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Reply, responses.Gone] = {}
        self._running = False

    def add(self, reply: Reply, gone: responses.Gone) -> None:
        """From now on."""
        with self._lock:
            self._open[reply] = gone
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="pilotlight-watch", daemon=True).start()

    def remove(self, reply: Reply) -> None:
        """It is over."""
        with self._lock:
            self._open.pop(reply, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(WATCH_SECONDS)
            with self._lock:
                if not self._open:
                    self._running = False
                    return
                looked = list(self._open.items())
            for reply, gone in looked:
                if gone():
                    reply.hang_up()


@dataclass
class Gateway:
    """The collaborators of a gateway, beside those of every application."""

    nodes: Nodes
    upstream: Upstream
    lists: Recent = field(default_factory=lambda: Recent(128))
    located: Recent = field(default_factory=lambda: Recent(KNOWN))
    placed: Recent = field(default_factory=lambda: Recent(KNOWN))
    moved: Recent = field(default_factory=lambda: Recent(KNOWN))
    """Where a session of a node has moved to, as that node has said; another gateway finds it out as this one did."""

    watch: Watch = field(default_factory=Watch)

    def note_move(self, id: str, before: str, after: str) -> None:
        """A session, or a message of one, is at another node now."""
        self.moved.note((before, id), after)
        self.moved.note((after, id), None)

    def node_of(self, id: str) -> tuple[Node, str] | None:
        """The node that an outside id names, and the id there; None for a bare one. Raise NotFound, Conflict or Unavailable."""
        name, inner = ids.split(id)
        return None if name is None else (self.nodes.get(name), inner)


def gateway() -> Gateway:
    """That of the application that serves this request."""
    return cast(Gateway, current_app.extensions[EXTENSION])


def person(node: Node, identity: Identity, method: str, path: str) -> dict[str, str]:
    """The header that says, signed, for whom a request goes to this node."""
    return {PERSON_HEADER: signed(node.address.token, identity.actor, identity.scope, method, path)}


def target(path: str, query: dict[str, str]) -> str:
    """Path and query as they stand in a request."""
    return quote(path) + (f"?{urlencode(query)}" if query else "")


def forward(
    node: Node, path: str, query: dict[str, str], tree: dict[str, Any] | None, *, key: str | None, wait: float
) -> Response:
    """This request, at this node, and its answer with outside ids. Raise Unavailable or DeadlineExceeded."""
    here, streams = api(), _streams()
    if streams and not here.streams.take():
        raise _full(here)
    release: Callable[[], None] = here.streams.give if streams else _nothing
    try:
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        headers |= person(node, g.identity, request.method, path)
        body = None
        if tree is not None:
            body = msgspec.json.encode(tree)
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        there = gateway()
        timeout = STREAM_SECONDS if streams else wait + SLACK_SECONDS
        acts = request.method not in ("GET", "HEAD")
        try:
            reply = there.upstream.send(
                node, request.method, target(path, query), headers, body, timeout=timeout, acts=acts
            )
        except Unavailable as error:
            there.nodes.failed(node, error.message)
            raise
        return _answer(node, reply, release)
    except BaseException:
        release()
        raise


def _answer(node: Node, reply: Reply, release: Callable[[], None]) -> Response:
    if reply.status == 401:
        reply.close()
        raise Unavailable(
            f"The node {node.name} does not know the gateway's token. Put the one that it made into its token file.",
            code="node_token_refused",
            data={"node": node.name},
        )
    kind = reply.headers.get("Content-Type", "")
    if "json" in kind.partition(";")[0] and "attachment" not in reply.headers.get("Content-Disposition", ""):
        said = reply.read()  # nothing, when it is a HEAD
        body = ids.outward(msgspec.json.decode(said), node.name) if said else None
        response = json_response(body, reply.status) if said else Response(b"", reply.status)
        release()
    elif int(reply.headers.get("Content-Length") or WHOLE_BYTES + 1) <= WHOLE_BYTES:
        response = Response(reply.read(), reply.status)
        release()
    else:
        response = _stream(node, reply, kind, release)
    for name in _PASSED:
        if name in reply.headers:
            response.headers[name] = reply.headers[name]
    if "Location" in reply.headers:
        before, mark, id = reply.headers["Location"].rpartition("/api/sessions/")
        response.headers["Location"] = f"{before}{mark}{ids.outside(node.name, id)}"
    return response


def _stream(node: Node, reply: Reply, kind: str, release: Callable[[], None]) -> Response:
    here = api()
    if release is _nothing:  # a file that comes as it is read
        if not here.streams.take():
            reply.close()
            raise _full(here)
        release = here.streams.give
    watch = gateway().watch
    watch.add(reply, responses.gone(here))
    over = threading.Lock()

    def close() -> None:
        if over.acquire(blocking=False):
            watch.remove(reply)
            reply.close()
            release()

    def pieces() -> Iterator[bytes]:
        try:
            if kind.startswith(responses.EVENT_STREAM):
                yield from events_outward(reply.lines(), node.name)
            else:
                yield from reply.chunks()
        finally:
            close()

    response = Response(pieces(), reply.status)
    response.call_on_close(close)
    return response


def events_outward(lines: Iterator[bytes], node: str) -> Iterator[bytes]:
    """A stream of events with outside ids, frame by frame."""
    frame: list[bytes] = []
    for line in lines:
        if line.startswith(b"data: "):
            line = b"data: " + msgspec.json.encode(ids.outward(msgspec.json.decode(line[6:]), node)) + b"\n"
        frame.append(line)
        if line == b"\n":
            yield b"".join(frame)
            frame = []


def _streams() -> bool:
    """Whether this call is answered with events."""
    rule = request.url_rule.rule if request.url_rule is not None else ""
    return rule.endswith("/stream") or (rule in _MESSAGES and request.method == "POST" and responses.wanted())


def _full(here: Api) -> Unavailable:
    return Unavailable(
        f"All {here.streams.size} streams are in use. Try again later, or raise api.threads.",
        code="too_many_streams",
        data={"retryAfter": 5},
    )


def _nothing() -> None:
    """There is nothing to give back."""
