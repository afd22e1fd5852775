"""Metrics, as JSON in the supervisor's words and for Prometheus by its conventions.

The op `metrics` answers a tree of numbers (`api/routes/prometheus.py` says which parts of it Prometheus sees).
"""

from __future__ import annotations

from flask import Blueprint, Response

from api.context import api
from api.http.problems import json_response

routes = Blueprint("metrics", __name__)


@routes.get("/api/metrics/sessions")
def session_metrics() -> Response:
    """Counts, latencies and resources as JSON."""
    return json_response({"success": True, **api().call("metrics")})


@routes.get("/metrics")
def prometheus() -> Response:
    """The same for Prometheus; `pilotlight_up 0` when the supervisor does not answer."""
    from api.routes import prometheus as exposition  # 60 ms of import that the start-up need not wait for

    here = api()
    body, content_type = exposition.render(lambda: here.call("metrics", timeout=2.0), here.streams.size)
    return Response(body, content_type=content_type)
