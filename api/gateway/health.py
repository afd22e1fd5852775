"""Is it well? The gateway's own answer for load balancers, and the nodes' one by one.

Neither makes one node's trouble that of all: the short answer is unhealthy only when no node answers.
"""

from __future__ import annotations

import time

from flask import Response

from api.auth.guard import public
from api.gateway import scatter
from api.gateway.here import gateway
from api.http.problems import json_response
from shared import __version__


def metrics() -> Response:
    """For Prometheus, each sample with the label `node`."""
    text = scatter.exposition(scatter.gather("/metrics", {}, keep=False))
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


@public
def short() -> Response:
    """Healthy (200) when a node answers; unhealthy (503) otherwise."""
    up = [node for node in gateway().nodes.all() if node.state == "ok"]
    body = {
        "status": "healthy" if up else "unhealthy",
        "version": __version__,
        "aicliCodeAvailable": bool(up),
        "timestamp": _now(),
        "node": {"id": "", "name": "gateway"},
        "epoch": "",
        "nodes": {"ok": len(up), "all": len(gateway().nodes.all())},
    }
    return json_response(body, 200 if up else 503)


def full() -> Response:
    """Node by node."""
    parts = scatter.gather("/api/health", {}, keep=False)
    told = [(part, part.tree) for part in parts]
    checks = [
        {
            "name": part.node.name,
            "status": {"healthy": "ok", "degraded": "warn"}.get(tree.get("status", ""), "fail"),
            "detail": part.reason or tree.get("status") or "It does not answer.",
        }
        for part, tree in told
    ]
    bad = sum(check["status"] == "fail" for check in checks)
    status = (
        "unhealthy" if bad == len(checks) else "degraded" if any(c["status"] != "ok" for c in checks) else "healthy"
    )
    body = {
        "status": status,
        "version": __version__,
        "aicliCodeAvailable": any(tree.get("aicliCodeAvailable") for _, tree in told),
        "activeSessions": sum(tree.get("activeSessions", 0) for _, tree in told),
        "sessionCount": sum(tree.get("sessionCount", 0) for _, tree in told),
        "resources": {part.node.name: tree.get("resources") for part, tree in told},
        "checks": checks,
        "timestamp": _now(),
        "node": {"id": "", "name": "gateway"},
        "epoch": "",
        "nodes": [part.view() for part in parts],
    }
    return json_response(body, 503 if status == "unhealthy" else 200)


def nodes() -> Response:
    """The nodes, each with its state and since when that is known."""
    return json_response({"success": True, "nodes": [node.view() for node in gateway().nodes.all()]})


def _now() -> int:
    return int(time.time() * 1000)
