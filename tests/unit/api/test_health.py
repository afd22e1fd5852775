"""Health and metrics: they answer when the supervisor does not, and say so."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.errors import Unavailable
from tests.api_caller import Caller

DOWN = Unavailable("The supervisor did not answer in time.")


def test_health_is_the_origins(ask: Caller) -> None:
    answer = ask("GET", "/health", headers={"Authorization": None})

    body = answer.json
    assert answer.status_code == 200
    assert set(body) == {"status", "version", "aicliCodeAvailable", "timestamp", "node", "epoch"}
    assert (body["status"], body["aicliCodeAvailable"]) == ("healthy", True)
    assert next(timeout for op, _, timeout in ask.supervisor.calls if op == "status") <= 1.0


def test_health_without_a_supervisor_is_503_and_says_what_to_do(ask: Caller) -> None:
    ask.supervisor.fail["status"] = DOWN

    answer = ask("GET", "/health", headers={"Authorization": None})

    assert (answer.status_code, answer.json["status"]) == (503, "unhealthy")
    assert "pilotlight up" in answer.json["error"]
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(("status", "code"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
def test_full_health(ask: Caller, status: str, code: int) -> None:
    ask.supervisor.health["status"] = status

    answer = ask("GET", "/api/health")

    assert answer.status_code == code
    body = answer.json
    assert body["status"] == status
    assert (body["activeSessions"], body["sessionCount"], body["aicliCodeAvailable"]) == (1, 2, True)
    assert set(body["resources"]) == {"system", "sessions"}
    assert body["checks"][0]["name"] == "supervisor"
    assert body["timestamp"] > 1_600_000_000_000


def test_full_health_without_a_supervisor_names_the_check(ask: Caller) -> None:
    ask.supervisor.fail["health"] = DOWN

    answer = ask("GET", "/api/health")

    assert answer.status_code == 503
    assert answer.json["checks"] == [{"name": "supervisor", "status": "fail", "detail": DOWN.message}]
    assert set(answer.json["resources"]) == {"system", "sessions"}


def test_status(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    body = ask("GET", "/api/status").json

    assert body["success"] is True
    assert [view["id"] for view in body["sessions"]] == [session]


def test_metrics_as_json(ask: Caller) -> None:
    body = ask("GET", "/api/metrics/sessions").json

    assert body["success"] is True
    assert body["sessions"]["byState"]["idle"] == 2


def test_metrics_for_prometheus(ask: Caller) -> None:
    answer = ask("GET", "/metrics")

    lines = answer.get_data(as_text=True).splitlines()
    assert answer.mimetype == "text/plain"
    assert 'pilotlight_sessions{state="idle"} 2.0' in lines
    assert "pilotlight_starts_total 3.0" in lines
    assert "pilotlight_messages_answered_total 7.0" in lines
    assert 'pilotlight_message_step_seconds{quantile="0.5",step="answered"} 0.12' in lines
    assert "pilotlight_queue_length 2.0" in lines
    assert "pilotlight_sessions_memory_bytes 1000.0" in lines
    assert "pilotlight_machine_cpu_ratio 0.25" in lines
    assert 'pilotlight_session_cpu_ratio{session="s1"} 0.5' in lines
    assert "pilotlight_up 1.0" in lines


BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_total", "_info")
PLAIN_COUNTS = {"pilotlight_sessions", "pilotlight_up", "pilotlight_api_streams_max"}


def test_metrics_keep_the_conventions_of_prometheus(ask: Caller) -> None:
    """https://prometheus.io/docs/practices/naming: help for each, base units, counters end in _total, quantiles are a
    summary's, and a series is told once."""
    families = list(text_string_to_metric_families(ask("GET", "/metrics").get_data(as_text=True)))

    assert len(families) > 12
    for family in families:
        assert re.fullmatch(r"pilotlight_[a-z][a-z0-9_]*", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter", "summary")
        names = {sample.name for sample in family.samples}
        assert names <= ({f"{family.name}_total"} if family.type == "counter" else {family.name})
        assert family.type == "counter" or family.name in PLAIN_COUNTS or family.name.endswith((*BASE_UNITS, "_length"))
        assert family.type == "summary" or not any("quantile" in sample.labels for sample in family.samples)
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(series) == len(set(series))


def test_metrics_for_prometheus_without_a_supervisor(ask: Caller) -> None:
    ask.supervisor.fail["metrics"] = DOWN

    answer = ask("GET", "/metrics")

    assert answer.status_code == 200
    assert "pilotlight_up 0.0" in answer.get_data(as_text=True).splitlines()
