"""Every call of a node's API, at the gateway: to the node that the id names, to one that is chosen, or to all of them.

The rules are those of `api/reference/calls.py`, so the guard asks for the same scopes; a test holds that each of them has its way
here. `?node=NAME` names the node where a call names no session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, current_app, g, request

from api.auth import tickets
from api.auth.guard import need, public
from api.context import api
from api.events import responses
from api.events.reader import Filter
from api.gateway import cursor, following, health, ids, moving, placement, scatter
from api.gateway.events import Merged, Reader
from api.gateway.following import followed, locate
from api.gateway.here import forward, gateway, target
from api.gateway.nodes import Node
from api.gateway.terminals import Joints, join
from api.http import forms, requests
from api.http.problems import json_response
from api.reference import calls
from api.reference.call import Call
from api.routes import devices, tokens
from api.routes import terminal as terminals
from api.routes.events import EventsQuery
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable

_FORMS = frozenset({"/api/chat", "/api/sessions/<id>/messages"})
_OWN = frozenset({"/", "/api/openapi.json", "/api/docs", "/api/sign-in", "/api/sign-out", "/api/me", "/api/devices",
                  "/api/devices/invitations", "/api/devices/<id>", "/api/tokens", "/api/tokens/<id>",
                  "/api/tokens/<id>/rotate"})  # fmt: skip
"""What a gateway answers itself, as a node does: the routes are the same."""

_IDS = ("sessionId", "session", "resume", "beginsWith")
_JOINTS = "pilotlight.joints"


def register(app: Flask) -> None:
    """Give the application a way for every call."""
    here = app.extensions["pilotlight"]
    app.extensions[_JOINTS] = Joints(here.stopping, here.still_valid)
    tickets.register(app.extensions)
    app.register_blueprint(devices.routes)
    app.register_blueprint(tokens.routes)
    for call in calls.CALLS:
        if call.path in _OWN:
            continue
        view = _SPECIAL.get((call.method, call.path)) or _general(call)
        name = f"gateway {call.method} {call.path}"
        app.add_url_rule(call.path, name, view, methods=[call.method])
        if call.path.endswith("/terminal"):
            app.add_url_rule(call.path, name, view, methods=["GET"], websocket=True)
    app.add_url_rule("/api/nodes", "gateway nodes", health.nodes, methods=["GET"])


def _general(call: Call) -> Callable[..., Response]:
    if call.method == "GET" and call.path in scatter.LISTS:
        return listed
    if call.path.startswith(("/api/recipients/", "/api/rules/")):
        return by_node_id
    if "/<id>" in call.path:
        return forms.accepted(_form_by_id) if call.path in _FORMS else by_id
    return by_name


# -- to one node ---------------------------------------------------------------------------------------------------------


def by_id(id: str, **rest: str) -> Response:
    """To the node of the session or message that the path names."""
    node, inner = locate(id)
    return _pass(node, inner, requests.json_object(required=False) if request.method != "GET" else None)


def _form_by_id(id: str) -> Response:
    node, inner = locate(id)
    return _pass(node, inner, forms.json_object() if request.method != "GET" else None)


def by_node_id(id: str) -> Response:
    """To the node that the path names; what has such an id is known to no other."""
    found = gateway().node_of(id)
    if found is None:
        raise NotFound("Here such an id names its node: <node>~<id>.")
    return _pass(*found, requests.json_object(required=False) if request.method != "GET" else None)


def by_name() -> Response:
    """To the node that `?node=` names."""
    node = _named(request.args.get("node"))
    if node is None:
        raise InvalidRequest(
            "Each node has its own: say which with `?node=NAME`. GET /api/nodes lists them.", code="node_needed"
        )
    return _pass(node, "", requests.json_object(required=False) if request.method != "GET" else None)


@forms.accepted
def chat() -> Response:
    """To the node of the session, or to the node that is chosen for a new one."""
    tree = forms.json_object()
    session = tree.get("sessionId")
    if isinstance(session, str) and session.strip():
        return _pass(locate(session)[0], "", tree)
    return _placed(tree)


def create() -> Response:
    """To the node that is chosen."""
    return _placed(requests.json_object(required=False))


def keep_alive() -> Response:
    """To the node of the session in the body."""
    tree = requests.json_object(required=False)
    session = tree.get("sessionId")
    if not isinstance(session, str) or not session.strip():
        raise InvalidRequest("Session ID is required", code="invalid_field", data={"field": "sessionId"})
    return _pass(locate(session)[0], "", tree)


def _pass(node: Node, inner: str, tree: dict[str, Any] | None) -> Response:
    """This request, with the ids as the node knows them, at that node."""
    assert request.url_rule is not None
    path = request.url_rule.rule.replace("<id>", inner)
    for name, value in (request.view_args or {}).items():
        path = path.replace(f"<{name}>", value)
    query = {name: value for name, value in requests.query_values().items() if name != "node"}
    query = ids.inward(query, _IDS, lambda id: ids.split(id)[1])
    key = None
    if request.method != "GET":
        key = _key(tree or {})
    if tree is not None:
        tree = ids.inward(tree, _IDS, lambda id: ids.split(id)[1])
    wait = _wait(query if tree is None else tree, path)
    if wait <= 0:
        return followed(node, inner, path, query, tree, key, 0.0)
    here = api()
    with here.long_calls.taken() as free:
        if not free:
            wait = 0.0
            if tree is not None:
                tree["wait"] = 0
            else:
                query["wait"] = "0"
        return followed(node, inner, path, query, tree, key, wait)


def _key(tree: dict[str, Any]) -> str:
    """The key of this request, the caller's or one for it: the same whenever it is asked for."""
    known: str | None = g.get("request_id")
    return known or requests.idempotency_key(tree.get("requestId"))


def _wait(asked: dict[str, Any], path: str) -> float:
    """How long the node may be held, in seconds."""
    default = api().config.api.wait_seconds if path == "/api/chat" else 0.0
    try:
        return max(0.0, min(float(asked.get("wait", default) or 0.0), requests.MAX_WAIT_SECONDS))  # NaN is 0, too
    except (TypeError, ValueError):
        return 0.0  # the node refuses it


# -- to a node that is chosen ----------------------------------------------------------------------------------------------


def _placed(tree: dict[str, Any]) -> Response:
    named = tree.pop("node", None) or request.args.get("node")
    resumed, _ = ids.split(str(tree.get("resume") or ""))
    key, there = _key(tree), gateway()
    if named or resumed:
        node, choice = _named(named or resumed), placement.Choice(str(named or resumed), "it was named")
    elif before := there.placed.get(key):
        node, choice = there.nodes.get(before), placement.Choice(before, f"{before} has had this request before")
    else:
        choice = placement.choose(_rooms(str(tree.get("projectPath") or "")))
        node = there.nodes.get(choice.node)
    assert node is not None
    there.placed.note(key, node.name)
    response = _pass(node, "", tree)
    if response.is_json and isinstance(body := response.get_json(), dict):
        told = json_response(
            {**body, "placement": {"node": choice.node, "reason": choice.reason}}, response.status_code
        )
        told.headers.extend(
            {name: value for name, value in response.headers.items() if name not in ("Content-Type", "Content-Length")}
        )
        return told
    response.headers["Pilotlight-Placement"] = choice.node
    return response


def _rooms(project: str) -> list[placement.Room]:
    rooms = []
    for part in scatter.gather("/api/sessions/active", {}, keep=False):
        if part.body is None or part.status != 200:
            continue
        stats = part.tree["stats"]
        has = any(one.get("projectPath") == project for one in part.tree["sessions"])
        rooms.append(
            placement.Room(part.node.name, stats["availableSlots"], stats["maxSessions"], has)
        )  # none while it drains
    return rooms


def _named(name: Any) -> Node | None:
    return gateway().nodes.get(str(name).lower()) if name else None


# -- to all ------------------------------------------------------------------------------------------------------------------


def listed() -> Response:
    """From all nodes, or from the one that `?node=` names."""
    assert request.url_rule is not None
    if (node := _named(request.args.get("node"))) is not None:
        return _pass(node, "", None)
    session = request.args.get("session")
    if session is not None:
        return _pass(locate(session)[0], "", None)
    begin = ids.split(request.args.get("beginsWith", ""))[0]
    if begin is not None:
        return _pass(gateway().nodes.get(begin), "", None)
    path, query = request.url_rule.rule, requests.query_values()
    parts = scatter.gather(path, query, pages=cursor.pages(query.pop("after", None)))
    return json_response(scatter.merged(path, parts))


@public
def link(token: str) -> Response:
    """A link in a notification: of the node that knows it."""
    refused, missing = None, []
    for node in gateway().nodes.all():
        try:
            response = forward_link(gateway().nodes.get(node.name), token)
        except (Conflict, Unavailable):
            missing.append(node.name)
            continue
        if response.status_code != 404:
            return response
        refused = response
    if missing or refused is None:
        raise Unavailable(
            f"No node that answers knows this link, and {', '.join(missing) or 'the others'} cannot be asked now.",
            code="node_unreachable",
            data={"nodes": missing, "retryAfter": 2},
        )
    return refused


def forward_link(node: Node, token: str) -> Response:
    """The link, at this node: the link itself is what lets in."""
    path = target(f"/api/notifications/links/{token}", {})
    reply = gateway().upstream.send(
        node, "POST", path, {"Content-Type": "application/json"}, b"{}", timeout=60, acts=True
    )
    response = Response(reply.read(), reply.status, content_type=reply.headers.get("Content-Type", "application/json"))
    return response


# -- streams -------------------------------------------------------------------------------------------------------------------


@tickets.takes("events")
def events() -> Response:
    """Follow all journals: from `Last-Event-ID` or `since`, or from now on."""
    asked = requests.query(EventsQuery)
    last, field = request.headers.get("Last-Event-ID") or asked.since, "Last-Event-ID"
    start = cursor.parse(last, field if request.headers.get("Last-Event-ID") else "since") if last else None
    kinds = frozenset(kind.strip() for kind in asked.kinds.split(",") if kind.strip()) if asked.kinds else None
    session = None
    if asked.session is not None:
        try:
            node, inner = following.session(asked.session)
        except Unavailable:  # it is told of when its node is back
            node, inner = locate(asked.session)
        session = ids.outside(node.name, inner)
    here = api()
    source = here.feed
    assert isinstance(source, Merged)
    wanted = Filter(session=session, kinds=kinds)
    return responses.respond(here, lambda inbox, gone: Reader(source, inbox, wanted, start).texts(gone))


@tickets.takes("events")
def stream(id: str) -> Response:
    """Follow one conversation, at its node."""
    node, inner = following.session(id)
    assert request.url_rule is not None
    query = {name: value for name, value in requests.query_values().items() if name != "ticket"}
    return forward(node, request.url_rule.rule.replace("<id>", inner), query, None, key=None, wait=0.0)


def ticket() -> Response:
    """Leave to open one stream here, of a session or of everything."""
    wish = requests.action(terminals.TicketRequest, key=False)
    session = None
    if wish.session is not None or wish.mode != "events":
        following.session(wish.session or "")
        session = (wish.session or "").lower()
    if wish.mode == "write":
        need("admin")
    secret = tickets.tickets().issue(g.identity, wish.mode, session)
    return json_response({"success": True, "ticket": secret, "expiresIn": tickets.TICKET_SECONDS}, 201)


@tickets.takes("terminal")
def terminal(id: str) -> Response:
    """The terminal of a session, joined to the node's."""
    asked = requests.query(terminals.TerminalQuery)
    if asked.mode == "write":
        need("admin")
    terminals.handshake()
    node, inner = following.session(id)
    query = {name: value for name, value in requests.query_values().items() if name not in ("ticket", "node")}
    joints: Joints = current_app.extensions[_JOINTS]
    return join(joints, node, target(f"/api/sessions/{inner}/terminal", query), g.identity)


def push_key() -> Response:
    """Each node signs its own pushes."""
    if request.args.get("node"):
        return by_name()
    raise Conflict(
        "Pushes are sent by the nodes, each with a key of its own: sign up at each, or use a channel of the configuration.",
        code="not_at_a_gateway",
    )


_SPECIAL: dict[tuple[str, str], Callable[..., Response]] = {
    ("POST", "/api/chat"): chat,
    ("POST", "/api/sessions"): create,
    ("POST", "/api/sessions/keep-alive"): keep_alive,
    ("POST", "/api/sessions/<id>/move"): moving.move,
    ("DELETE", "/api/sessions/<id>/move"): moving.stay,
    ("PUT", "/api/sessions/<id>/bundle"): moving.bundle,
    ("GET", "/metrics"): health.metrics,
    ("GET", "/health"): health.short,
    ("GET", "/api/health"): health.full,
    ("GET", "/api/events"): events,
    ("GET", "/api/sessions/<id>/stream"): stream,
    ("POST", "/api/tickets"): ticket,
    ("GET", "/api/sessions/<id>/terminal"): terminal,
    ("GET", "/api/notifications/key"): push_key,
    ("POST", "/api/notifications/links/<token>"): link,
}
