"""The nodes of `nodes.yaml`: what is asked where, who answers there, and since when they do not.

An address is no identity. The file, or the domain name in it, says where to look; the node that answers says which it is
(`node.id`); the name is what its ids begin with outside. What must not regress: two nodes that answer to one name are refused,
both, with their addresses; a node that moved to another address is found without a restart; one that was seen and does not answer
is listed as unreachable, never left out.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from api.gateway import srv
from api.gateway.ids import NAME, is_name
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from shared.foreign_file import SMALL, read_foreign

LOOK_SECONDS = 2.0
"""How often the file, the domain names and the nodes are looked at."""

ABSENT_SECONDS = 86_400.0
"""How long a node that only a domain name led to is listed as unreachable after it was seen last."""

State = Literal["ok", "unreachable", "refused"]
_log = logging.getLogger("pilotlight.gateway")


class NodeEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One node (`name`, `url`), or all that a domain name leads to (`dns`, an http(s) URL whose host is looked up over and over,
    as a service (SRV) when it begins with `_`; they are called as they call themselves). `host`: the Host header, where it is not
    the URL's."""

    name: Annotated[str, Meta(pattern=f"^{NAME}$")] | None = None
    url: str | None = None
    dns: str | None = None
    token_file: str
    ca_file: str | None = None
    host: str | None = None


class NodesFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`nodes.yaml`. `timeout_seconds`: what a node may take for its part of a list."""

    nodes: list[NodeEntry] = []
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 2.0


@dataclass(frozen=True)
class Address:
    """Where a node may be. `name` is None when it says itself how it is called."""

    url: str
    token: str = field(repr=False)
    name: str | None = None
    host: str | None = None
    ca_file: str | None = None
    at: str | None = None
    """The IP address to connect to, when the URL's host has several."""


@dataclass(frozen=True)
class Answer:
    """Who answered at an address: its node's id, its own name, and the epoch of its journal."""

    id: str
    name: str
    epoch: str = ""
    healthy: bool = True


@dataclass(frozen=True)
class Node:
    """One node as it was seen last; `as_of` in milliseconds (0: never)."""

    name: str
    state: State
    address: Address
    id: str = ""
    epoch: str = ""
    as_of: int = 0
    reason: str = ""

    def view(self) -> dict[str, Any]:
        """As it is told."""
        told: dict[str, Any] = {
            "name": self.name,
            "id": self.id,
            "state": self.state,
            "asOf": self.as_of,
            "url": self.address.url,
        }
        return {**told, "reason": self.reason} if self.reason else told


_Asked = ParamSpec("_Asked")
_Told = TypeVar("_Told")
Probe = Callable[[Address], Answer]
"""Who is there. Raise OSError or PilotlightError when nobody is."""


def load(path: Path) -> NodesFile:
    """Raise InvalidRequest that names the file."""
    try:
        return msgspec.yaml.decode(read_foreign(path, SMALL, follow=True), type=NodesFile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}", code="invalid_nodes") from None


def addresses(
    file: NodesFile,
    base: Path,
    lookup: Callable[[str, int], Iterable[str]],
    offered: Callable[[str], Iterable[srv.Service]],
) -> list[Address]:
    """All that the file leads to now. Raise InvalidRequest when an entry is neither a node nor a domain name."""
    found: list[Address] = []
    for entry in file.nodes:
        url = (entry.url or entry.dns or "").rstrip("/")
        named = entry.url is not None and entry.name is not None and entry.dns is None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or not (named or entry.url is None):
            raise InvalidRequest(
                "A node has `name`, `url` and `token_file`, or `dns` and `token_file`; both are http(s) addresses.",
                code="invalid_nodes",
            )
        token = _secret(base / entry.token_file)
        ca_file = str(base / entry.ca_file) if entry.ca_file else None
        one = Address(url, token, entry.name, entry.host, ca_file)
        if entry.dns is None:
            found.append(one)
            continue
        places = offered(host) if host.startswith("_") else [srv.Service(host, port)]
        for place in places:
            url = url if place == (host, port) else f"{parts.scheme}://{place.host}:{place.port}{parts.path}"
            one = replace(one, url=url, host=entry.host or "localhost")
            found += [replace(one, at=ip) for ip in lookup(place.host, place.port)]
    return found


def look_up(host: str, port: int) -> list[str]:
    """The addresses behind a name; none when it leads nowhere now. Raise OSError when nobody can be asked."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        return []
    except socket.gaierror as error:
        if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY):
            raise
        return []
    return sorted({str(info[4][0]) for info in found})


def remembering(ask: Callable[_Asked, Iterable[_Told]]) -> Callable[_Asked, list[_Told]]:
    """The same, or what was said last while nobody can be asked (OSError): a name server that is away moves no node."""
    said: dict[Any, list[_Told]] = {}

    def told(*what: _Asked.args, **more: _Asked.kwargs) -> list[_Told]:
        with suppress(OSError):
            said[what] = list(ask(*what, **more))
        return said.get(what, [])

    return told


def _secret(path: Path) -> str:
    try:
        return read_foreign(path, SMALL, follow=True).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read as a node's token: {error}", code="invalid_nodes") from None


def assemble(seen: list[tuple[Address, Answer | str]], before: dict[str, Node], now: int) -> dict[str, Node]:
    """The nodes by name, from who answered where (or why nobody did) and what was known before."""
    after: dict[str, Node] = {}
    by_name: dict[str, list[tuple[Address, Answer]]] = {}
    for address, answer in seen:
        if isinstance(answer, Answer) and (name := address.name or answer.name.lower()):
            by_name.setdefault(name, []).append((address, answer))
    for name, several in by_name.items():
        after[name] = _answered(name, several, now)
    for address, answer in seen:
        if isinstance(answer, str) and address.name is not None and address.name not in after:
            known = before.get(address.name)
            after[address.name] = (
                replace(known, state="unreachable", address=address, reason=answer)
                if known is not None
                else Node(address.name, "unreachable", address, reason=answer)
            )
    looked_up = any(address.at is not None for address, _ in seen) or not seen
    for name, known in before.items():
        recent = known.address.at is not None and now - known.as_of < ABSENT_SECONDS * 1000
        if name not in after and recent and looked_up:
            after[name] = replace(known, state="unreachable", reason="It does not answer where it was.")
    return dict(sorted(after.items()))


def _answered(name: str, several: list[tuple[Address, Answer]], now: int) -> Node:
    address, answer = several[0]
    node = Node(name, "ok", address, answer.id, answer.epoch, now)
    if not is_name(name):
        return replace(node, state="refused", reason=f"Its name does not fit ({NAME}): set node.name there.")
    if len({one.id for _, one in several}) > 1:
        where = " and ".join(one.at or one.url for one, _ in several)
        return replace(
            node, state="refused", reason=f"Two nodes are called {name}: at {where}. Rename one (node.name)."
        )
    return node


class Nodes:
    """The directory, kept up to date by a thread of its own from `start` to `stop`."""

    def __init__(self, path: Path, probe: Probe, lookup: Callable[[str, int], Iterable[str]] = look_up) -> None:
        self._path = path
        self._probe = probe
        self._lookup, self._offered = remembering(lookup), remembering(srv.services)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._looking = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._pool = ThreadPoolExecutor(32, "pilotlight-probe")
        self._trouble = ""
        self.file = load(path)

    def start(self) -> None:
        """Look once, so that whoever asks first is answered, and then again and again."""
        self.look()
        threading.Thread(target=self._run, name="pilotlight-nodes", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """See who is where. A file that cannot be used leaves what was known, and is told once."""
        with self._looking:
            try:
                self.file = load(self._path)
                where = addresses(self.file, self._path.parent, self._lookup, self._offered)
                self._trouble = ""
            except InvalidRequest as error:
                if error.message != self._trouble:
                    self._trouble = error.message
                    _log.warning("nodes_unusable", extra={"fields": {"why": error.message}})
                where = [node.address for node in self.all()]
            answers = list(self._pool.map(self._ask, where))
            with self._lock:
                before = self._nodes
                self._nodes = assemble(list(zip(where, answers, strict=True)), before, _now())
            for name, node in self._nodes.items():
                if name not in before or before[name].state != node.state:
                    fields = {"node": name, "state": node.state, "why": node.reason}
                    _log.log(logging.INFO if node.state == "ok" else logging.WARNING, "node", extra={"fields": fields})

    def all(self) -> list[Node]:
        """Every node, by name."""
        with self._lock:
            return list(self._nodes.values())

    def get(self, name: str) -> Node:
        """The one of this name, if it may be asked. Raise NotFound, Conflict or Unavailable."""
        with self._lock:
            node = self._nodes.get(name)
        if node is None:
            raise NotFound(f"There is no node {name}. `pilotlight nodes` lists them.", code="node_not_found")
        if node.state == "refused":
            raise Conflict(node.reason, code="duplicate_node", data={"node": name})
        if node.state == "unreachable":
            raise away(node, node.reason)
        return node

    def failed(self, node: Node, reason: str) -> None:
        """It did not answer: it counts as unreachable until it is seen again."""
        with self._lock:
            known = self._nodes.get(node.name)
            if known is not None and known.address == node.address:
                self._nodes[node.name] = replace(known, state="unreachable", reason=reason)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()

    def _ask(self, address: Address) -> Answer | str:
        try:
            return self._probe(address)
        except (
            OSError,
            ValueError,
            Unavailable,
            InvalidRequest,
        ) as error:  # a host or a token that no request can carry
            return str(error) or type(error).__name__


def away(node: Node, reason: str) -> Unavailable:
    """The refusal for a node that does not answer; nothing was done."""
    return Unavailable(
        f"The node {node.name} does not answer ({reason}). Nothing was done there; try again when it is back.",
        code="node_unreachable",
        data={"node": node.name, "asOf": node.as_of, "retryAfter": LOOK_SECONDS},
    )


def _now() -> int:
    return int(time.time() * 1000)
