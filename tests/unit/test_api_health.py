"""Health and metrics: they answer when the supervisor does not, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import Unavailable
from tests.api_double import Caller, FakeSupervisor

DOWN = Unavailable("The supervisor did not answer in time.")


@pytest.fixture
def ask(tmp_path: Path) -> Caller:
    return Caller(tmp_path, FakeSupervisor())


def test_health_is_the_origins(ask: Caller) -> None:
    answer = ask("GET", "/health", headers={"Authorization": None})

    body = answer.json
    assert answer.status_code == 200
    assert set(body) == {"status", "version", "aicliCodeAvailable", "timestamp"}
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
    assert answer.json["checks"] == [{"name": "supervisor", "status": "unhealthy", "detail": DOWN.message}]
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
    assert 'pilotlight_session_cpu_ratio{session="s1"} 0.5' in lines
    assert "pilotlight_up 1.0" in lines


def test_metrics_for_prometheus_without_a_supervisor(ask: Caller) -> None:
    ask.supervisor.fail["metrics"] = DOWN

    answer = ask("GET", "/metrics")

    assert answer.status_code == 200
    assert "pilotlight_up 0.0" in answer.get_data(as_text=True).splitlines()
