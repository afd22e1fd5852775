"""Who may talk to this API: the right Host, Origin, token, scope and pace, in that order, before any route.

Host keeps out DNS rebinding (a page whose name was pointed at 127.0.0.1), Origin keeps out other web pages, JSON-only
bodies keep out forms, and the token keeps out other users of this machine. The token travels in the Authorization
header only: query strings end up in logs and histories. Loopback names are right on any port, because an ssh tunnel
changes it; the Origin still has to be exactly the Host that was asked. Which scope a call needs is said in one table,
`api/reference/calls.py`; a call that is not in it needs all of them. A browser that is signed in has a cookie instead of a token
(`api/auth/device_cookie.py`), which counts for our own page only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, current_app, g, request
from msgspec import Struct

from api.auth import device_cookie, tickets
from api.auth.rate_limit import Pace
from api.context import api
from api.http import files, forms
from shared.access.devices import Devices
from shared.access.persons import PERSON_HEADER, on_behalf
from shared.access.tokens import Identity, Keyring, Scope, require
from shared.bus.operations import needed
from shared.bus.service_requests import RefusedCall
from shared.config import ApiConfig
from shared.errors import Forbidden, PilotlightError, Unauthorized

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_UNSPECIFIED = frozenset({"0.0.0.0", "::", ""})
_BODY_TYPE = "application/json"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_Route = TypeVar("_Route", bound=Callable[..., object])


class UnsupportedType(PilotlightError):
    """A body that is not plain JSON."""

    code, status = "unsupported_media_type", 415


def public(route: _Route) -> _Route:
    """Mark a route that needs no token."""
    route.public = True  # type: ignore[attr-defined]
    return route


def register(
    app: Flask,
    config: ApiConfig,
    keyring: Keyring,
    devices: Devices,
    cookie: str,
    scopes: Mapping[tuple[str, str], Scope],
) -> None:
    """Guard every request of this application. `scopes` says what (method, rule) needs, `cookie` is a device's."""
    pace = Pace(config.rate_per_minute)
    hosts = _names([*LOOPBACK, *([] if config.host in _UNSPECIFIED else [config.host]), *config.allowed_hosts])
    origins = frozenset(origin.rstrip("/").lower() for origin in config.allowed_origins)

    @app.before_request
    def guard() -> Response | None:
        _check_host(request.headers.get("Host", ""), hosts)
        origin = request.headers.get("Origin")
        if origin is not None:
            _check_origin(origin, request.headers.get("Host", ""), origins)
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                return Response(status=204)
        view = current_app.view_functions.get(request.endpoint or "")
        if not getattr(view, "public", False):
            ticket = tickets.redeemed(getattr(view, "ticket", None), devices.still_valid)
            header = request.headers.get("Authorization")
            device = device_cookie.identify(cookie, devices) if ticket is None and header is None else None
            g.identity = ticket or device or _identify(header or "", keyring)
            if request.url_rule is not None and request.method != "OPTIONS":
                need(scopes.get((_verb(request.method), request.url_rule.rule), "admin"))
        if request.routing_exception is None:
            _check_body_type()
            if request.method not in _READING and "identity" in g:
                pace.take(g.identity.actor)
        return None

    @app.after_request
    def renew(response: Response) -> Response:
        if "new_cookie" in g:
            device_cookie.give(response, cookie, g.new_cookie)
        return response

    @app.after_request
    def share(response: Response) -> Response:
        origin = request.headers.get("Origin", "").lower()
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
            response.headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, Idempotency-Key, X-Request-Id, Last-Event-ID"
            )
            response.headers["Access-Control-Expose-Headers"] = (
                "Retry-After, X-Request-Id, Pilotlight-Node, Pilotlight-Epoch"
            )
            response.headers["Access-Control-Max-Age"] = "600"
        if origins:
            response.vary.add("Origin")
        return response


def _names(entries: Iterable[str]) -> frozenset[tuple[str, int | None]]:
    split = (_split(entry.lower()) or _split(f"[{entry.lower()}]") for entry in entries)  # a bare IPv6 address, too
    return frozenset(name for name in split if name)


def _split(host: str) -> tuple[str, int | None] | None:
    """(name, port) of a Host header; None when it is not one."""
    if not host or any(mark in host for mark in "/@?#\\, \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        return ((parts.hostname or "").rstrip("."), parts.port) if parts.hostname else None
    except ValueError:
        return None


def _check_host(host: str, allowed: frozenset[tuple[str, int | None]]) -> None:
    name = _split(host)
    if name is None or (name not in allowed and (name[0], None) not in allowed):
        raise Forbidden(
            "This Host is not served here. Ask for localhost, or add the name to api.allowed_hosts.",
            code="host_not_allowed",
        )


def _check_origin(origin: str, host: str, allowed: frozenset[str]) -> None:
    scheme, _, rest = origin.lower().partition("://")
    own = scheme in ("http", "https") and rest == host.lower()
    if not own and origin.lower() not in allowed:
        raise Forbidden(
            "This web page may not use the API. Add its origin to api.allowed_origins if it should.",
            code="origin_not_allowed",
        )


def need(scope: Scope) -> None:
    """Refuse the caller of this request when it may not do what needs `scope`. Raise Forbidden."""
    identity: Identity = g.identity
    device = identity.kind == "device"
    what = f"This needs a {identity.kind} with the scope `{scope}`; `{identity.name}` has"
    try:
        require(identity.scope, scope, what, "pilotlight open" if device else "pilotlight tokens add")
    except Forbidden:
        _tell_refusal(identity, scope)
        raise


def need_for(op: str, arguments: Struct) -> None:
    """Refuse the caller when it may not ask for this operation with these arguments. Raise Forbidden."""
    need(needed(op, msgspec.to_builtins(arguments)))


def _tell_refusal(identity: Identity, scope: Scope) -> None:
    """For the journal, which the supervisor bounds; the caller is refused whether or not it can be told."""
    rule = request.url_rule.rule if request.url_rule is not None else "an unknown path"
    session = (request.view_args or {}).get("id") if rule.startswith("/api/sessions/<id>") else None
    call = RefusedCall(call=f"{request.method} {rule}", needed=scope, scope=identity.scope, session_id=session)
    with suppress(PilotlightError):
        api().bus.tell("audit.refused", call, actor=identity.actor)


def _identify(header: str, keyring: Keyring) -> Identity:
    scheme, _, value = header.partition(" ")
    found = keyring.identify(value.strip()) if scheme.lower() == "bearer" and value.strip() else None
    if found is None:
        raise Unauthorized(
            "A valid token is needed: send `Authorization: Bearer <token>`; `pilotlight token` prints it."
        )
    person = request.headers.get(PERSON_HEADER)
    return found if person is None else on_behalf(found, value.strip(), person, request.method, request.path)


def _verb(method: str) -> str:
    """HEAD may do what GET may."""
    return "GET" if method == "HEAD" else method


def _check_body_type() -> None:
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedType(
            "Compressed bodies are not accepted: leave Content-Encoding out.", code="unsupported_encoding"
        )
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if has_body and request.mimetype != _BODY_TYPE and not (forms.is_accepted() or files.is_taken()):
        raise UnsupportedType("Send the body as JSON, with `Content-Type: application/json`.")
