"""Where a session is: the node that its id names, the one that knows a bare id, and the one that it has moved to.

What must not regress: a request follows a session with the key that it came with, and the node that a session has left is what
says where it is: nothing that is remembered here is needed.
"""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.gateway import ids, scatter
from api.gateway.here import forward, gateway
from api.gateway.nodes import Node
from shared.errors import NotFound, Unavailable, from_wire

MOVE_RETRY_SECONDS = 2


def locate(id: str) -> tuple[Node, str]:
    """The node of a session or message, and its id there; a bare id is looked for at all. Raise NotFound or Unavailable."""
    there = gateway()
    found = there.node_of(id)
    if found is not None:
        elsewhere = there.moved.get((found[0].name, found[1]))
        return found if elsewhere is None else (there.nodes.get(elsewhere), found[1])
    known = there.located.get(id.lower())
    if known is not None:
        return there.nodes.get(known), id
    kind = "messages" if id.startswith("m_") else "sessions"
    parts = scatter.gather(f"/api/{kind}/{id}", {}, keep=False, refuse=False)
    known_at = [part for part in parts if part.status == 200 and part.body is not None]
    owners = [part.node for part in known_at if not _has_moved(part.tree)] or [part.node for part in known_at]
    if owners:
        there.located.note(id.lower(), owners[0].name)
        return owners[0], id
    missing = [part.node.name for part in parts if part.state != "ok" or part.status >= 500]
    if missing:
        raise Unavailable(
            f"No node that answers knows it, and {', '.join(missing)} cannot be asked now.",
            code="node_unreachable",
            data={"nodes": missing, "retryAfter": 2},
        )
    if kind == "messages":
        raise NotFound("Message not found.", code="message_not_found")
    raise NotFound("Session not found.", code="session_not_found")


def _has_moved(tree: dict[str, Any]) -> bool:
    session = tree.get("session")
    return isinstance(session, dict) and bool(session.get("movedTo"))


def followed(
    node: Node, inner: str, path: str, query: dict[str, str], tree: dict[str, Any] | None, key: str | None, wait: float
) -> Response:
    """The answer of the node, or of the one that the session has moved to: with the same key, so that nothing is done twice.
    Raise Unavailable (`session_moving`) while it is at neither."""
    been = {node.name}
    response = forward(node, path, query, tree, key=key, wait=wait)
    while (where := _moved(response)) is not None:
        before, node = node, next_node(where, been)
        response = forward(node, path, query, tree, key=key, wait=wait)
        if response.status_code == 404:
            _check_arrived(node, where)
        elif inner and response.status_code != 503:
            gateway().note_move(inner, before.name, node.name)
    return response


def session(id: str) -> tuple[Node, str]:
    """The node at which a session is now, and its id there, for what cannot be asked again at another one. Raise NotFound or
    Unavailable."""
    node, inner = locate(id)
    been = {node.name}
    while True:
        status, tree = scatter.ask(node, f"/api/sessions/{inner}")
        if status == 404 and len(been) == 1:
            raise NotFound("Session not found.", code="session_not_found")
        if status >= 400:
            raise from_wire(tree.get("code", "error"), tree.get("error", "Refused."), status, tree.get("data"))
        where = (tree.get("session") or {}).get("movedTo")
        if not where:
            return node, inner
        node = next_node(where, been)


def next_node(where: str, been: set[str]) -> Node:
    """The node that one says it has moved to. Raise Unavailable when that one has said that it has moved from there: it has been
    let go of, and has not arrived."""
    name = ids.split(where)[0] or ""
    if name in been:
        raise _under_way(where)
    been.add(name)
    return gateway().nodes.get(name)


def _check_arrived(node: Node, where: str) -> None:
    """Raise Unavailable when this node knows nothing of a session that it will have: it is on its way there."""
    status, tree = scatter.ask(node, f"/api/sessions/{ids.split(where)[1]}")
    if status == 503 and tree.get("code") == "session_moving":
        raise _under_way(where)


def _under_way(where: str) -> Unavailable:
    return Unavailable(
        f"The session is on its way to {where}, and has not arrived. Send this again with the same request id; if it stays so, "
        "give the command that moves it again.",
        code="session_moving",
        data={"movedTo": where, "retryAfter": MOVE_RETRY_SECONDS},
    )


def _moved(response: Response) -> str | None:
    """Where this answer says that the session has moved to, `<node>~<id>`."""
    if not response.is_json or response.status_code not in (200, 409):
        return None
    said = response.get_json(silent=True) or {}  # a HEAD has none
    if response.status_code == 409:
        return str(said["data"]["movedTo"]) if said.get("code") == "session_moved" else None
    session = said.get("session") if request.method == "GET" and isinstance(said, dict) else None
    return (session.get("movedTo") or None) if isinstance(session, dict) else None
