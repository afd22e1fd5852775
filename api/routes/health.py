"""Is it well? `/health` for load balancers and scripts without a token, `/api/health` with the failing check named.

Both answer when the supervisor is down, and say so: unhealthy, 503, and what to do.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, request

from api.auth.guard import public
from api.context import api
from api.http.problems import json_response
from shared import __version__
from shared.errors import PilotlightError
from shared.node import read as read_node

routes = Blueprint("health", __name__)

PATIENCE_SECONDS = 1.0
_DOWN = "The supervisor does not answer. `pilotlight status` shows why, `pilotlight up` starts it."


@routes.get("/health")
@public
def health() -> Response:
    """Healthy (200) when the supervisor answers within a second; unhealthy (503) otherwise."""
    try:
        status = api().call("status", timeout=PATIENCE_SECONDS)
    except PilotlightError:
        return _down({"version": __version__})
    return json_response(
        {
            "status": "healthy",
            "version": __version__,
            "aicliCodeAvailable": not status.get("claudeError"),
            "timestamp": _now(),
            "node": status.get("node"),
            "epoch": status.get("epoch"),
        }
    )


@routes.get("/api/health")
def full_health() -> Response:
    """Healthy or degraded (200) or unhealthy (503), check by check."""
    try:
        report: dict[str, Any] = api().call("health", timeout=5.0)
    except PilotlightError as error:
        return _down(
            {
                "activeSessions": 0,
                "sessionCount": 0,
                "resources": {"system": {}, "sessions": {}},
                "checks": [{"name": "supervisor", "status": "fail", "detail": error.message}],
            }
        )
    body = {"checks": [], "timestamp": _now(), **report, "version": __version__}
    return json_response(body, 503 if report.get("status") == "unhealthy" else 200)


@routes.get("/api/status")
def status() -> Response:
    """Who serves, since when, and every session that is not ended."""
    report: dict[str, Any] = api().call("status")
    return json_response({"success": True, **report, "api": {"version": __version__, "url": request.host_url}})


def _down(more: dict[str, Any]) -> Response:
    body = {"status": "unhealthy", "success": False, "error": _DOWN, "aicliCodeAvailable": False, "timestamp": _now()}
    node = read_node(api().paths.home)
    who = {"node": {"id": node.id, "name": node.name}, "epoch": node.epoch} if node is not None else {}
    response = json_response({**body, **who, **more}, 503)
    response.headers["Retry-After"] = "1"
    return response


def _now() -> int:
    return int(time.time() * 1000)
