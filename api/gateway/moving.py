"""A session from one node to another, step by step; each may be repeated, and the nodes know how far it is.

What must not regress: nothing is kept here, so another gateway, or this one after a crash, goes on with the same request; a node
is asked to let go of a session only when the other one has told that all of it has come; what the other one refuses for good is
called off, and the session is where it was.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from flask import Response, g

from api.gateway import ids
from api.gateway.following import locate, next_node
from api.gateway.here import SLACK_SECONDS, gateway, person, target
from api.gateway.nodes import Node
from api.gateway.upstream import Body
from api.http import requests
from api.http.problems import json_response
from api.routes import moves
from shared.bus.service_requests import Nothing
from shared.errors import Conflict, NotFound, PilotlightError, Unavailable, from_wire

STEP_SECONDS = 600.0
"""A step goes at the speed of a disk or of a link."""


def move(id: str) -> Response:
    """All of a move, or what is left of it."""
    wanted = requests.action(moves.MoveTarget, key=False)
    node, inner = _where_it_was(id)
    return json_response(carry(node, inner, gateway().nodes.get(wanted.node), wanted.project_path))


def stay(id: str) -> Response:
    """A move is called off."""
    requests.action(Nothing, key=False)
    return json_response(call_off(*_where_it_was(id)))


def _where_it_was(id: str) -> tuple[Node, str]:
    """The node that the id names, though it may have moved: that node knows how far it is."""
    return gateway().node_of(id) or locate(id)


def bundle(id: str) -> Response:
    """Bundles go from node to node."""
    raise Conflict(
        "A bundle is brought to its node. `POST /api/sessions/<id>/move` moves a session.", code="not_at_a_gateway"
    )


def carry(source: Node, session: str, to: Node, project: str | None) -> dict[str, Any]:
    """All that is left of a move, which may be nothing. Raise what a step was refused with."""
    been, begun = {source.name}, None
    while begun is None:
        if source.name == to.name:
            there = _ask(to, "GET", f"/api/sessions/{session}")["session"]
            where = there.get("movedTo")
            if not where:
                return {"success": True, "move": None, "session": ids.session(there, to.name)}
        else:
            begun, where = _leave(source, session, to)
        source = source if begun is not None else next_node(where, been)
    if not begun["moved"]:
        try:
            digest = _bring(source, session, to, begun["id"], project)
        except PilotlightError as error:
            if not error.retryable:
                with suppress(PilotlightError):
                    _ask(source, "DELETE", f"/api/sessions/{session}/move", {})
            raise
        begun = _ask(source, "POST", f"/api/sessions/{session}/release", {"move": begun["id"], "digest": digest})[
            "move"
        ]
    arrived = _arrive(source, session, to, begun, project)
    gateway().note_move(session, source.name, to.name)
    begun.pop("word")
    return {"success": True, "move": begun, "session": ids.session(arrived["session"], to.name)}


def _leave(source: Node, session: str, to: Node) -> tuple[dict[str, Any] | None, str]:
    """The move that is begun, or where the session has moved to before."""
    try:
        return _ask(source, "POST", f"/api/sessions/{session}/move", {"node": to.name})["move"], ""
    except Conflict as error:
        if error.error_code != "session_moved":
            raise
        return None, str(error.data["movedTo"])


def _arrive(source: Node, session: str, to: Node, move: dict[str, Any], project: str | None) -> dict[str, Any]:
    """Make a session of the bundle; of another one, when the node that is to have it has lost the first."""
    path, arrival = f"/api/sessions/{session}/arrive", {"move": move["id"], "word": move["word"]}
    try:
        return _ask(to, "POST", path, arrival)
    except NotFound as error:
        if error.error_code != "no_such_move":
            raise
    digest = _bring(source, session, to, move["id"], project)
    arrived = _ask(to, "POST", path, arrival)
    _ask(source, "POST", f"/api/sessions/{session}/release", {"move": move["id"], "digest": digest})
    return arrived


def call_off(source: Node, session: str) -> dict[str, Any]:
    """The session stays. What has come of it to the other node is thrown away there, if that can be asked now."""
    try:
        told = _ask(source, "DELETE", f"/api/sessions/{session}/move", {})
    except Conflict as error:
        back = _leaving_again(error, session) if error.error_code == "session_moved" else None
        if back is None:
            raise
        return call_off(back, session)
    move = told.get("move")
    if move is not None:
        with suppress(PilotlightError):
            there = gateway().nodes.get(move["to"])
            _ask(there, "DELETE", f"/api/sessions/{session}/bundle", {}, {"move": move["id"]})
    return {"success": True, "move": move, "session": ids.session(told["session"], source.name)}


def _leaving_again(moved: Conflict, session: str) -> Node | None:
    """The node that the session has moved to, if it is leaving that one, too."""
    node = gateway().nodes.get(ids.split(str(moved.data["movedTo"]))[0] or "")
    with suppress(NotFound):
        return node if _ask(node, "GET", f"/api/sessions/{session}")["session"].get("movingTo") else None
    return None


def _ask(
    node: Node, method: str, path: str, tree: dict[str, Any] | None = None, query: dict[str, str] | None = None
) -> dict[str, Any]:
    headers = person(node, g.identity, method, path)
    body = None if tree is None else msgspec.json.encode(tree)
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        reply = gateway().upstream.send(
            node,
            method,
            target(path, query or {}),
            headers,
            body,
            timeout=STEP_SECONDS + SLACK_SECONDS,
            acts=tree is not None,
        )
    except Unavailable as error:
        gateway().nodes.failed(node, error.message)
        raise
    return _told(node, reply.status, reply.read())


def _told(node: Node, status: int, said: bytes) -> dict[str, Any]:
    """What a node has answered. Raise what it refused with."""
    if status == 401:
        raise Unavailable(f"The node {node.name} does not know the gateway's token.", code="node_token_refused")
    try:
        tree: dict[str, Any] = msgspec.json.decode(said)
    except msgspec.DecodeError:
        raise Unavailable(f"What {node.name} answers is no answer of a node.", code="node_unreachable") from None
    if status >= 400:
        code, words = tree.get("code", "error"), f"{node.name}: {tree.get('error', 'Refused.')}"
        error = from_wire(code, words, status, tree.get("data"))
        if tree.get("retryable") and not error.retryable:  # as a body that came too slowly
            raise Unavailable(words, code=code, data=tree.get("data"))
        raise error
    return tree


def _bring(source: Node, session: str, to: Node, move: str, project: str | None) -> str:
    """The bundle, from one node to the other as it comes. Return its digest, as the other one has read it."""
    upstream, path = gateway().upstream, f"/api/sessions/{session}/bundle"
    timeout = STEP_SECONDS + SLACK_SECONDS
    found = upstream.send(
        source, "GET", target(path, {"move": move}), person(source, g.identity, "GET", path), timeout=timeout
    )
    if found.status != 200:
        _told(source, found.status, found.read())
    try:
        length = int(found.headers["Content-Length"])
        headers = {**person(to, g.identity, "PUT", path), "Content-Type": "application/octet-stream"}
        query = {"move": move} | ({"projectPath": project} if project else {})
        reply = upstream.bring(to, target(path, query), headers, Body(length, found.chunks()), timeout=timeout)
    finally:
        found.close()
    digest: str = _told(to, reply.status, reply.read())["digest"]
    return digest
