"""Who may talk to this API: the right Host, the right Origin, the right token, in that order, before any route.

Host keeps out DNS rebinding (a page whose name was pointed at 127.0.0.1), Origin keeps out other web pages, JSON-only
bodies keep out forms, and the token keeps out other users of this machine. The token travels in the Authorization
header only: query strings end up in logs and histories. Loopback names are right on any port, because an ssh tunnel
changes it; the Origin still has to be exactly the Host that was asked.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request

from shared.config import ApiConfig
from shared.errors import Forbidden, PilotlightError, Unauthorized, Unavailable

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_UNSPECIFIED = frozenset({"0.0.0.0", "::", ""})
_BODY_TYPE = "application/json"
_Route = TypeVar("_Route", bound=Callable[..., object])


class UnsupportedType(PilotlightError):
    """A body that is not JSON."""

    code, status = "unsupported_media_type", 415


class TokenFile:
    """The default token, made when there is none, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._value = b""

    def ensure(self) -> None:
        """Make the token (0600, complete or not at all); the first of two racing processes wins."""
        if self._read():
            return
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if self._path.exists():  # there, but empty: a disk that was full once
                os.replace(draft, self._path)
            else:
                try:
                    os.link(draft, self._path)
                except FileExistsError:
                    pass
        except OSError as error:
            raise Unavailable(
                f"The token cannot be written to {self._path}: {error.strerror}.", code="token_unwritable"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        if not self._read():
            raise Unavailable(f"{self._path} cannot be read: remove it and start again.", code="token_unreadable")

    def matches(self, candidate: str) -> bool:
        """Whether this is the token, in constant time."""
        self._read()
        return bool(self._value) and hmac.compare_digest(self._value, candidate.encode("utf-8", "replace"))

    def _read(self) -> bool:
        """Take over the file as it is now; what was read last stays valid while it is away."""
        try:
            seen = self._path.stat()
            if self._stamp != (seen.st_mtime_ns, seen.st_ino):
                if seen.st_mode & 0o077:
                    self._path.chmod(0o600)
                self._value = self._path.read_bytes().strip()
                self._stamp = (seen.st_mtime_ns, seen.st_ino)
        except OSError:
            pass
        return bool(self._value)


def public(route: _Route) -> _Route:
    """Mark a route that needs no token."""
    route.public = True  # type: ignore[attr-defined]
    return route


def register(app: Flask, config: ApiConfig, token: TokenFile) -> None:
    """Guard every request of this application."""
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
            _check_token(request.headers.get("Authorization", ""), token)
        if request.routing_exception is None:
            _check_body_type()
        return None

    @app.after_request
    def share(response: Response) -> Response:
        origin = request.headers.get("Origin", "").lower()
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE"
            response.headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, Idempotency-Key, X-Request-Id, Last-Event-ID"
            )
            response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
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


def _check_token(header: str, token: TokenFile) -> None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or not token.matches(value.strip()):
        raise Unauthorized(
            "A valid token is needed: send `Authorization: Bearer <token>`; `pilotlight token` prints it."
        )


def _check_body_type() -> None:
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if has_body and request.mimetype != _BODY_TYPE:
        raise UnsupportedType("Send the body as JSON, with `Content-Type: application/json`.")
