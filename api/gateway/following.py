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
from shared.errors import NotFound, Unavailable

MOST_MOVES = 5
"""So often a session is followed from node to node by one request."""


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
    """The answer of the node, or of the one that the session has moved to: with the same key, so that nothing is done twice."""
    for _ in range(MOST_MOVES):
        response = forward(node, path, query, tree, key=key, wait=wait)
        elsewhere = _moved(response)
        if elsewhere is None:
            break
        if inner:
            gateway().note_move(inner, node.name, elsewhere)
        node = gateway().nodes.get(elsewhere)
    return response


def _moved(response: Response) -> str | None:
    """The node that this answer says the session has moved to."""
    if not response.is_json or response.status_code not in (200, 409):
        return None
    said = response.get_json(silent=True) or {}  # a HEAD has none
    if response.status_code == 409:
        return str(said["data"]["node"]) if said.get("code") == "session_moved" else None
    session = said.get("session") if request.method == "GET" and isinstance(said, dict) else None
    return ids.split(str(session.get("movedTo") or ""))[0] if isinstance(session, dict) else None
