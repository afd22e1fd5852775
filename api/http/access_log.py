"""One log line a request: what was asked, without its query string, and how it went."""

from __future__ import annotations

import logging
import time

from flask import Flask, Request, Response, g, request

_QUIET = frozenset({"/health", "/metrics"})
_access = logging.getLogger("pilotlight.api.access")


def access_log(app: Flask) -> None:
    """One line a request: what was asked, without its query string, and how it went."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def log(response: Response) -> Response:
        level = logging.DEBUG if request.path in _QUIET and response.status_code < 400 else logging.INFO
        if _access.isEnabledFor(level):
            fields = {
                "method": request.method,
                "path": _told(request),
                "status": response.status_code,
                "ms": round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
                "client": request.remote_addr,
            }
            if g.get("request_id"):
                fields["requestId"] = g.request_id
            _access.log(level, "request", extra={"fields": fields})
        return response


def _told(asked: Request) -> str:
    """The path, but for what is a secret in it: a link that answers is as good as a token while it counts."""
    rule = asked.url_rule.rule if asked.url_rule is not None else ""
    return rule if "<token>" in rule else asked.path[:200]
