"""The legacy calls, field by field: an unmodified client must find exactly what it decodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.session_double import now

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_keep_alive_extends(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    answer = ask("POST", "/api/sessions/keep-alive", {"sessionId": session, "extra": 1})

    assert answer.status_code == 200
    body = answer.json
    assert body.items() >= {"success": True, "sessionId": session, "extended": True}.items()
    assert "recap" not in body
    assert ask.supervisor.last("session.keep_alive").action == "extend"


def test_a_sleeper_has_the_pid_0_where_an_old_client_reads_a_number_and_nowhere_else(ask: Caller) -> None:
    session = ask.supervisor.add_session(state="hibernated", pid=None)["id"]

    assert ask("GET", f"/api/sessions/interactive/{session}/status").json["pid"] == 0
    assert [view["pid"] for view in ask("GET", "/api/sessions/active").json["sessions"]] == [0]
    assert ask("GET", f"/api/sessions/{session}").json["session"]["pid"] is None


def test_keep_alive_recap(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    body = ask("POST", "/api/sessions/keep-alive", {"sessionId": session, "action": "recap"}).json

    assert body["recap"] == "You said hello."
    assert body["extended"] is True
    assert ask.supervisor.last("session.keep_alive").key


@pytest.mark.parametrize("state", ["busy", "waiting"])
def test_a_session_of_which_no_recap_can_be_asked_is_extended_all_the_same(ask: Caller, state: str) -> None:
    session = ask.supervisor.add_session(state=state)["id"]

    answer = ask("POST", "/api/sessions/keep-alive", {"sessionId": session, "action": "recap"})

    assert answer.status_code == 200
    assert (answer.json["extended"], answer.json["recapSkipped"]) == (True, state)
    assert "recap" not in answer.json


def test_when_all_holding_threads_are_taken_there_is_no_recap_but_time(tmp_path: Path) -> None:
    ask = Caller(tmp_path, FakeSupervisor(), threads=4)
    session = ask.supervisor.add_session()["id"]
    while ask.app.extensions["pilotlight"].long_calls.take():
        pass

    answer = ask("POST", "/api/sessions/keep-alive", {"sessionId": session, "action": "recap"})

    assert (answer.status_code, answer.json["recapSkipped"]) == (200, "too_many_requests")
    assert ask.supervisor.last("session.keep_alive").action == "extend"


@pytest.mark.parametrize("body", [None, {}, {"sessionId": ""}, {"sessionId": None}, {"action": "extend"}])
def test_keep_alive_without_session(ask: Caller, body: Any) -> None:
    answer = ask("POST", "/api/sessions/keep-alive", body)

    assert (answer.status_code, answer.json["error"]) == (400, "Session ID is required")
    assert answer.json["success"] is False


@pytest.mark.parametrize("which", [UNKNOWN, "x", "ended"])
@pytest.mark.parametrize("action", ["extend", "recap"])
def test_keep_alive_of_a_session_that_is_not_there(ask: Caller, which: str, action: str) -> None:
    session = ask.supervisor.add_session(state="ended")["id"] if which == "ended" else which
    answer = ask("POST", "/api/sessions/keep-alive", {"sessionId": session, "action": action})

    assert (answer.status_code, answer.json["error"]) == (404, "Session not found")


@pytest.mark.parametrize("body", [{"sessionId": 7}, {"sessionId": UNKNOWN, "action": "revive"}])
def test_keep_alive_with_a_wrong_field(ask: Caller, body: Any) -> None:
    assert ask("POST", "/api/sessions/keep-alive", body).status_code == 400
    assert ask.supervisor.calls == []


def test_active_sessions(ask: Caller) -> None:
    first = ask.supervisor.add_session(memoryBytes=1000, messageCount=3)
    ask.supervisor.add_session(state="hibernated", pid=None, memoryBytes=None)
    ask.supervisor.add_session(state="busy", memoryBytes=500)
    ask.supervisor.add_session(state="ended")

    body = ask("GET", "/api/sessions/active").json

    assert body["success"] is True
    assert len(body["sessions"]) == 3
    shown = body["sessions"][0]
    for name in ("projectPath", "createdAt", "lastActivity", "messageCount", "expiresAt", "pid"):
        assert shown[name] == first[name]
    assert shown["sessionId"] == first["id"]
    assert body["stats"] == {"totalSessions": 3, "maxSessions": 10, "availableSlots": 8, "memoryUsage": 1500}


def test_active_sessions_know_the_setting_in_force(ask: Caller) -> None:
    ask.supervisor.settings["sessions.max_concurrent"] = 3

    assert ask("GET", "/api/sessions/active").json["stats"]["maxSessions"] == 3


def test_interactive_status(ask: Caller) -> None:
    session = ask.supervisor.add_session(state="busy", messageCount=2, warned=True)

    body = ask("GET", f"/api/sessions/interactive/{session['id']}/status").json

    assert body["success"] is True
    assert body["sessionId"] == session["id"]
    for name in ("projectPath", "createdAt", "lastActivity", "messageCount", "expiresAt", "pid"):
        assert body[name] == session[name]
    assert 0 < body["timeRemaining"] <= 86_400_000
    assert body["isExpired"] is False
    assert body["needsWarning"] is True
    assert body["active"] is True


@pytest.mark.parametrize("state", ["idle", "hibernated", "waiting", "starting", "busy"])
def test_active_is_a_boolean_that_means_there_for_more(ask: Caller, state: str) -> None:
    session = ask.supervisor.add_session(state=state)["id"]
    over = ask.supervisor.add_session(state=state, expiresAt=now() - 5)["id"]

    assert ask("GET", f"/api/sessions/interactive/{session}/status").json["active"] is True
    working = state in ("waiting", "starting", "busy")
    assert ask("GET", f"/api/sessions/interactive/{over}/status").json["active"] is working


def test_interactive_status_past_its_time(ask: Caller) -> None:
    session = ask.supervisor.add_session(expiresAt=now() - 5)["id"]

    body = ask("GET", f"/api/sessions/interactive/{session}/status").json

    assert (body["timeRemaining"], body["isExpired"]) == (0, True)


def test_interactive_end(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    answer = ask("DELETE", f"/api/sessions/interactive/{session}")

    assert answer.status_code == 200
    assert answer.json == {"success": True, "message": "Interactive session terminated", "sessionId": session}
    assert ask.supervisor.sessions[session]["endReason"] == "killed"


@pytest.mark.parametrize("which", [UNKNOWN, "x", "ended"])
def test_interactive_calls_on_what_is_not_there(ask: Caller, which: str) -> None:
    session = ask.supervisor.add_session(state="ended")["id"] if which == "ended" else which

    for method, path in (("GET", f"interactive/{session}/status"), ("DELETE", f"interactive/{session}")):
        answer = ask(method, f"/api/sessions/{path}")
        assert (answer.status_code, answer.json["error"]) == (404, "Interactive session not found")
        assert answer.json["success"] is False


def test_a_byte_order_mark_before_the_body_is_read_over(ask: Caller) -> None:
    """Express did, and so its clients may send one."""
    body = b'\xef\xbb\xbf{"sessionId": ""}'
    answer = ask("POST", "/api/sessions/keep-alive", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["error"]) == (400, "Session ID is required")
