"""What is asked of all nodes at once, and put together from what came.

What must not regress: an answer never waits longer than one time-out for all of them, and every node is named in it with `asOf`
and `ok`, `stale` (what it said last is shown) or `unreachable` (nothing of it is): no gap is silent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Literal

import msgspec
from flask import g

from api.gateway import cursor, ids
from api.gateway.here import Gateway, gateway, person, target
from api.gateway.nodes import Node
from shared.access.tokens import Identity
from shared.errors import PilotlightError, Unavailable, from_wire

LONG_SECONDS = 10.0
"""What reading transcripts may take."""

_LONG = frozenset({"/api/search", "/api/usage", "/api/conversations"})
_pool = ThreadPoolExecutor(64, "pilotlight-scatter")

State = Literal["ok", "stale", "unreachable"]


@dataclass(frozen=True)
class Part:
    """What one node said, and when; `body` is None when nothing of it is known."""

    node: Node
    state: State
    as_of: int
    body: bytes | None = None
    status: int = 200
    reason: str = ""

    def view(self) -> dict[str, Any]:
        """As it is told beside the answer."""
        told = {"name": self.node.name, "id": self.node.id, "state": self.state, "asOf": self.as_of}
        return {**told, "reason": self.reason} if self.reason else told

    @property
    def tree(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body or b"{}")


def gather(
    path: str,
    query: dict[str, str],
    *,
    keep: bool = True,
    refuse: bool = True,
    pages: dict[str, str] | None = None,
) -> list[Part]:
    """What every node answers to this GET. `keep`: what it said last stands in for one that does not. `refuse`: raise the refusal
    when all that answer refuse. `pages`: only these nodes, each behind its own page."""
    there, identity = gateway(), g.identity
    seconds = max(LONG_SECONDS if path in _LONG else 0.0, there.nodes.file.timeout_seconds)
    nodes = [node for node in there.nodes.all() if pages is None or node.name in pages]
    wanted = {node.name: _page(query, pages, node) for node in nodes}
    asked = {
        node.name: _pool.submit(_ask, there, node, path, wanted[node.name], identity, seconds)
        for node in nodes
        if node.state == "ok"
    }
    end = time.monotonic() + seconds
    parts = [
        _part(there, node, asked.get(node.name), (path, *sorted(wanted[node.name].items()), identity), end, keep)
        for node in nodes
    ]
    told = [part for part in parts if part.state == "ok"]
    if (
        refuse
        and told
        and all(part.status >= 400 for part in told)
        and not any(part.state == "stale" for part in parts)
    ):
        raise refusal(told[0])
    return parts


def _page(query: dict[str, str], pages: dict[str, str] | None, node: Node) -> dict[str, str]:
    return query if pages is None else {**query, "after": pages[node.name]}


def ask(node: Node, path: str) -> tuple[int, dict[str, Any]]:
    """What one node answers to this GET: status and body. Raise Unavailable when it does not answer."""
    there = gateway()
    try:
        status, said = _ask(there, node, path, {}, g.identity, there.nodes.file.timeout_seconds)
    except Unavailable as error:
        there.nodes.failed(node, error.message)
        raise
    try:
        tree = msgspec.json.decode(said)
    except msgspec.DecodeError:
        tree = None
    return status, tree if isinstance(tree, dict) else {}


def refusal(part: Part) -> PilotlightError:
    """What this node refused with, as our own error."""
    body = part.tree
    return from_wire(body.get("code", "error"), body.get("error", "Refused."), part.status, body.get("data"))


def _ask(
    there: Gateway, node: Node, path: str, query: dict[str, str], identity: Identity, seconds: float
) -> tuple[int, bytes]:
    headers = person(node, identity, "GET", path)
    reply = there.upstream.send(node, "GET", target(path, query), headers, timeout=seconds)
    return reply.status, reply.read()


def _part(
    there: Gateway, node: Node, asked: Future[tuple[int, bytes]] | None, key: tuple[Any, ...], end: float, keep: bool
) -> Part:
    """`key`: path, query and who asks; what one was told is no answer for another."""
    reason = node.reason
    if asked is not None:
        try:
            status, body = asked.result(max(0.0, end - time.monotonic()))
        except (NotInTime, PilotlightError, OSError) as error:
            reason = str(error) or "It did not answer in time."
            if isinstance(error, PilotlightError):
                there.nodes.failed(node, reason)
        else:
            if status < 500 or not keep:
                now = int(time.time() * 1000)
                if keep and status == 200:
                    there.lists.note((node.name, *key), (now, body))
                return Part(node, "ok", now, body, status)
            reason = f"It answered with {status}."
    kept = there.lists.get((node.name, *key)) if keep else None
    if kept is not None:
        return Part(node, "stale", kept[0], kept[1], reason=reason)
    return Part(node, "unreachable", node.as_of, reason=reason)


# -- putting together ----------------------------------------------------------------------------------------------------


def merged(path: str, parts: list[Part]) -> dict[str, Any]:
    """One answer of the shape that one node's has, with `nodes` beside."""
    said = [(part.node.name, part.tree) for part in parts if part.body is not None and part.status == 200]
    pages = {node: tree["next"] for node, tree in said if isinstance(tree.get("next"), str)}
    further = {"next": cursor.further(pages)} if any("next" in tree for _, tree in said) else {}
    return {"success": True, **further, **_MERGES[path](said), "nodes": [_named(part) for part in parts]}


def _named(part: Part) -> dict[str, Any]:
    """The node of this part; what it refused is not in the list, and that is said."""
    if part.state == "ok" and part.status != 200:
        part = replace(part, state="unreachable", body=None, reason=f"It refused: {refusal(part).message}")
    return part.view()


Said = list[tuple[str, dict[str, Any]]]


def _sessions(said: Said) -> dict[str, Any]:
    return {"sessions": [ids.session(view, node) for node, tree in said for view in tree["sessions"]]}


def _attention(said: Said) -> dict[str, Any]:
    views = [ids.outward(view, node) | {"node": node} for node, tree in said for view in tree["sessions"]]
    return {"sessions": sorted(views, key=lambda view: view["waiting"].get("since") or 0)}


def _active(said: Said) -> dict[str, Any]:
    stats = [tree["stats"] for _, tree in said]
    names = ("totalSessions", "maxSessions", "availableSlots", "memoryUsage")
    return {**_sessions(said), "stats": {name: sum(one[name] for one in stats) for name in names}}


def _search(said: Said) -> dict[str, Any]:
    lists = [[ids.outward(hit, node) | {"node": node} for hit in tree["hits"]] for node, tree in said]
    best = [hit for hit in chain.from_iterable(zip_longest(*lists)) if hit is not None]
    return {"hits": best, "complete": all(tree["complete"] for _, tree in said)}


def _usage(said: Said) -> dict[str, Any]:
    by = next((tree["by"] for _, tree in said), "day")
    rows = [ids.outward(row, node) for node, tree in said for row in tree["rows"]]
    if by == "day":
        days: dict[str, dict[str, Any]] = {}
        for row in rows:
            days[row["day"]] = _sum(days[row["day"]], row) if row["day"] in days else row
        rows = [days[day] for day in sorted(days, reverse=True)]
    total: dict[str, Any] = {}
    for _, tree in said:
        total = _sum(total, tree["total"])
    return {"by": by, "rows": rows, "total": total, "complete": all(tree["complete"] for _, tree in said)}


def _sum(one: Any, other: Any) -> Any:
    """Two trees of numbers as one; what is no number is the first's."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _sum(one.get(name), other.get(name)) for name in [*one, *(n for n in other if n not in one)]}
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        return one + other
    return other if one is None else one


def _conversations(said: Said) -> dict[str, Any]:
    found = [ids.outward(one, node) | {"node": node} for node, tree in said for one in tree["conversations"]]
    return {"conversations": sorted(found, key=lambda one: one.get("lastActivity") or 0, reverse=True)}


def _metrics(said: Said) -> dict[str, Any]:
    whole: dict[str, Any] = {"sessions": {}, "counters": {}, "latency": {}, "perSession": []}
    for node, tree in said:
        for name in ("sessions", "counters"):
            whole[name] = _sum(whole[name], tree.get(name))
        for name in ("queueDepth", "memoryBytes"):
            if name in tree:
                whole[name] = _sum(whole.get(name), tree[name])
        whole["latency"] = _worst(whole["latency"], tree.get("latency"))
        whole["perSession"] += [
            {**one, "id": ids.outside(node, one["id"]), "node": node} for one in tree.get("perSession") or []
        ]
    return whole


def _worst(one: Any, other: Any) -> Any:
    """Two trees of numbers as the larger of each: quantiles cannot be added."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _worst(one.get(name), other.get(name)) for name in {**one, **other}}
    if isinstance(one, int | float) and isinstance(other, int | float):
        return max(one, other)
    return other if one is None else one


def _status(said: Said) -> dict[str, Any]:
    sessions = [ids.session(view, node) for node, tree in said for view in tree.get("sessions") or []]
    return {
        "sessions": sessions,
        "byNode": {node: {k: v for k, v in tree.items() if k != "sessions"} for node, tree in said},
    }


def _settings(said: Said) -> dict[str, Any]:
    return {"settings": {}, "changed": [], "byNode": dict(said)}


def _recipients(said: Said) -> dict[str, Any]:
    found = [
        {**one, "id": ids.outside(node, one["id"]), "node": node} for node, tree in said for one in tree["recipients"]
    ]
    return {"recipients": found}


def _rules(said: Said) -> dict[str, Any]:
    return {
        "rules": [
            {**rule, "id": ids.outside(node, rule["id"]) if rule.get("id") else None, "node": node}
            for node, tree in said
            for rule in tree["rules"]
        ]
    }


def _folders(said: Said) -> dict[str, Any]:
    whole = {name: value for _, tree in said for name, value in tree.items() if name not in ("success", "folders")}
    return {**whole, "folders": [{**one, "node": node} for node, tree in said for one in tree["folders"]]}


def _event_page(said: Said) -> dict[str, Any]:
    """The newest of each; the page before them is asked for with `node`."""
    events = [
        {**event, "session": ids.outside(node, event["session"]) if event.get("session") else None, "node": node}
        | {"data": ids.outward(event.get("data"), node)}
        for node, tree in said
        for event in tree["events"]
    ]
    further = {node: tree["next"] for node, tree in said if tree.get("next") is not None}
    events.sort(key=lambda event: event.get("at") or 0, reverse=True)
    return {"events": events, "next": None, "nextByNode": further, "epoch": ""}


def _notices(said: Said) -> dict[str, Any]:
    found = [
        ids.outward(one, node) | {"recipient": ids.outside(node, one["recipient"]), "node": node}
        for node, tree in said
        for one in tree["notices"]
    ]
    return {"notices": sorted(found, key=lambda one: one.get("at") or 0, reverse=True)}


_MERGES: dict[str, Callable[[Said], dict[str, Any]]] = {
    "/api/sessions": _sessions,
    "/api/attention": _attention,
    "/api/sessions/active": _active,
    "/api/search": _search,
    "/api/usage": _usage,
    "/api/conversations": _conversations,
    "/api/metrics/sessions": _metrics,
    "/api/status": _status,
    "/api/settings": _settings,
    "/api/recipients": _recipients,
    "/api/notifications": _notices,
    "/api/rules": _rules,
    "/api/folders": _folders,
    "/api/events/page": _event_page,
}
LISTS = frozenset(_MERGES)
"""The calls that are answered from all nodes."""

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?(?P<value> .*)$")


def exposition(parts: list[Part]) -> str:
    """The metrics of all nodes for Prometheus, each with the label `node`, and whether it answers."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    family = ""
    for part in parts:
        text = part.body.decode("utf-8", "replace") if part.body is not None and part.status == 200 else ""
        for line in text.splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                samples.setdefault(family, [])
                head = heads.setdefault(family, [])
                if line not in head and len(head) < 2:
                    head.append(line)
            elif match := _SAMPLE.match(line):
                labels = f'node="{part.node.name}"' + (f",{match['labels']}" if match["labels"] else "")
                samples.setdefault(family, []).append(f"{match['name']}{{{labels}}}{match['value']}")
    up = [f'pilotlight_node_up{{node="{part.node.name}"}} {int(part.state == "ok")}' for part in parts]
    head = ["# HELP pilotlight_node_up Whether the node answers.", "# TYPE pilotlight_node_up gauge"]
    lines = [*head, *up, *(line for name in samples for line in [*heads.get(name, []), *samples[name]])]
    return "\n".join(lines) + "\n"
