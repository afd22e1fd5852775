"""Sessions over HTTP: every verb reaches its operation with what was asked, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Busy
from tests.api_caller import Caller

UNKNOWN = "00000000-0000-4000-8000-000000000000"
WAITING = {"id": "w1", "for": "permission", "title": "Run it?", "text": "ls", "choices": [], "since": 1}


def test_list(ask: Caller) -> None:
    idle = ask.supervisor.add_session()["id"]
    ended = ask.supervisor.add_session(state="ended")["id"]

    def ids(query: str) -> list[str]:
        return [session["id"] for session in ask("GET", f"/api/sessions{query}").json["sessions"]]

    assert ids("") == [idle]
    assert ids("?includeEnded=true") == [idle, ended]
    assert ids("?state=ended") == [ended]
    assert ids("?state=busy") == []


@pytest.mark.parametrize("query", ["state=sleepy", "includeEnded=maybe", "include=1", "state=idle&state=busy"])
def test_list_with_a_bad_query(ask: Caller, query: str) -> None:
    assert ask("GET", f"/api/sessions?{query}").status_code == 400


def test_create(ask: Caller) -> None:
    body = {"projectPath": "/w", "title": "T", "trust": True, "addDirs": ["/x"], "permissionMode": "plan", "wait": 2}

    answer = ask("POST", "/api/sessions", body, headers={"Idempotency-Key": "k"})

    assert answer.status_code == 201
    session = answer.json["session"]
    assert (session["projectPath"], session["title"]) == ("/w", "T")
    assert answer.headers["Location"].endswith(f"/api/sessions/{session['id']}")
    wanted = ask.supervisor.last("session.create")
    assert (wanted.key, wanted.wait, wanted.add_dirs, wanted.permission_mode) == ("k", 2.0, ["/x"], "plan")


def test_create_takes_a_conversation_over_asleep(ask: Caller) -> None:
    body = {"projectPath": "/w", "resume": UNKNOWN, "asleep": True}

    assert ask("POST", "/api/sessions", body).status_code == 201
    wanted = ask.supervisor.last("session.create")
    assert (wanted.resume, wanted.asleep) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("projectPath", {}),
        ("projectPath", {"projectPath": ""}),
        ("projectPath", {"projectPath": 5}),
        ("project", {"projectPath": "/w", "project": 1}),
        ("key", {"projectPath": "/w", "key": "k"}),
        ("wait", {"projectPath": "/w", "wait": -1}),
        ("addDirs[0]", {"projectPath": "/w", "addDirs": [1]}),
    ],
)
def test_create_with_a_bad_field(ask: Caller, field: str, body: dict[str, Any]) -> None:
    answer = ask("POST", "/api/sessions", body)

    assert (answer.status_code, answer.json["data"]["field"]) == (400, field)
    assert ask.supervisor.calls == []


def test_no_room_says_when_to_come_back(ask: Caller) -> None:
    ask.supervisor.fail["session.create"] = Busy("All ten sessions are busy.", data={"retryAfter": 2.5})

    answer = ask("POST", "/api/sessions", {"projectPath": "/w"})

    assert (answer.status_code, answer.headers["Retry-After"], answer.json["retryable"]) == (429, "3", True)


def test_get_update_and_end(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]
    path = f"/api/sessions/{session}"

    assert ask("GET", path).json["session"]["id"] == session
    assert ask("GET", path.upper().replace("/API/SESSIONS", "/api/sessions")).status_code == 200
    changed = ask("PATCH", path, {"title": None, "autoKeepAlive": True}).json["session"]
    assert (changed["title"], changed["autoKeepAlive"]) == (None, True)
    ended = ask("DELETE", path)
    assert ended.json["sessionId"] == session
    assert ended.json["session"]["state"] == "ended"
    assert isinstance(ended.json["message"], str)
    assert ask.supervisor.last("session.kill").reason == "killed"


@pytest.mark.parametrize("body", [{}, {"state": "idle"}, {"sessionId": UNKNOWN}, {"autoKeepAlive": "x"}])
def test_update_with_nothing_or_nonsense(ask: Caller, body: dict[str, Any]) -> None:
    session = ask.supervisor.add_session()["id"]

    assert ask("PATCH", f"/api/sessions/{session}", body).status_code == 400


def test_an_end_takes_no_reason_from_outside(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    assert ask("DELETE", f"/api/sessions/{session}", {"reason": "expired"}).status_code == 400
    assert ask.supervisor.sessions[session]["state"] == "idle"


@pytest.mark.parametrize("verb", ["interrupt", "hibernate", "wake", "reopen"])
def test_verbs(ask: Caller, verb: str) -> None:
    session = ask.supervisor.add_session()["id"]

    answer = ask("POST", f"/api/sessions/{session}/{verb}", headers={"X-Request-Id": "x"})

    assert answer.json["session"]["id"] == session
    assert ask.supervisor.ops() == [f"session.{verb}"]
    assert ask.supervisor.last(f"session.{verb}").key == "x"


def test_answer_first_wins(ask: Caller) -> None:
    session = ask.supervisor.add_session(state="waiting", waiting=WAITING)["id"]
    path = f"/api/sessions/{session}/answer"

    assert ask("GET", "/api/attention").json["sessions"][0]["waiting"]["for"] == "permission"
    assert ask.supervisor.last("session.list").state == "waiting", "no others are made up to be dropped here"
    assert ask("POST", path, {}).status_code == 400
    assert ask("POST", path, {"choice": 1}).status_code == 400
    assert ask("POST", path, {"waitingId": "w1", "choice": "1"}).status_code == 200
    assert ask("POST", path, {"choice": "1"}).status_code == 409
    assert ask("GET", "/api/attention").json["sessions"] == []


def test_screen(ask: Caller) -> None:
    path = f"/api/sessions/{ask.supervisor.add_session()['id']}/screen"

    assert ask("GET", path).json["screen"]["cursor"] == [0, 1]
    text = ask("GET", f"{path}?format=text&history=true")
    assert (text.get_data(as_text=True), text.mimetype) == ("> héllo\n", "text/plain")
    assert ask.supervisor.last("session.screen").history is True
    assert ask("GET", f"{path}?format=png").status_code == 400


def test_keys(ask: Caller) -> None:
    path = f"/api/sessions/{ask.supervisor.add_session()['id']}/keys"

    assert ask("POST", path, {"keys": ["Enter"], "text": "y"}).status_code == 200
    assert ask.supervisor.last("session.keys").key
    assert ask("POST", path, {}).status_code == 400
    assert ask("POST", path, {"keys": "Enter"}).status_code == 400


@pytest.mark.parametrize("session", [UNKNOWN, "x", "..%2f..%2fetc", "%00", "active2"])
def test_unknown_session_is_404_everywhere(ask: Caller, session: str) -> None:
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("DELETE", "", None),
        ("GET", "/messages", None),
        ("POST", "/messages", {"message": "x"}),
        ("POST", "/answer", {"choice": "1"}),
        ("POST", "/interrupt", None),
        ("GET", "/screen", None),
        ("POST", "/keys", {"text": "x"}),
    ]
    for method, rest, body in calls:
        answer = ask(method, f"/api/sessions/{session}{rest}", body)
        assert (answer.status_code, answer.json["success"]) == (404, False), (method, rest)


def test_settings(ask: Caller) -> None:
    assert ask("GET", "/api/settings").json["settings"]["sessions.timeout_hours"] == 24.0
    changed = ask("PATCH", "/api/settings", {"sessions.timeout_hours": 1})
    assert changed.json["settings"]["sessions.timeout_hours"] == 1
    assert ask("PATCH", "/api/settings", {"sessions.nope": 1}).status_code == 400
    assert ask("PATCH", "/api/settings", {}).status_code == 400
