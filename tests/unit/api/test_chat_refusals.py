"""What `POST /api/chat` refuses, and that a refusal creates nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.bus.messages import MAX_ATTACHMENT_BYTES, MAX_MESSAGE_BYTES, ErrorBody
from shared.errors import StartFailed, Unavailable, UnsendableText
from tests.api_caller import Caller


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 201])
def test_an_impossible_key_is_refused(ask: Caller, key: str) -> None:
    answer = ask("POST", "/api/chat", {"message": "hi", "requestId": key})

    assert answer.status_code == 400
    assert answer.json["data"]["field"] == "requestId"
    assert ask.supervisor.ops() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000])
def test_a_body_that_cannot_be_read_is_refused_under_the_id_of_its_request(ask: Caller, body: bytes) -> None:
    told = {"X-Request-Id": "mine-1"}
    answer = ask("POST", "/api/chat", headers=told, data=body, content_type="application/json")

    assert (answer.status_code, answer.json["requestId"], answer.headers["X-Request-Id"]) == (400, "mine-1", "mine-1")


BAD_FIELDS = [
    ("message", {"message": 5}),
    ("message", {"message": None}),
    ("message", {}),
    ("message", {"message": ""}),
    ("message", {"message": " \n\t"}),
    ("wait", {"message": "x", "wait": "x"}),
    ("wait", {"message": "x", "wait": True}),
    ("wait", {"message": "x", "wait": -1}),
    ("wait", {"message": "x", "wait": 3601}),
    ("sessionId", {"message": "x", "sessionId": 7}),
    ("sessionId", {"message": "x", "sessionId": " "}),
    ("projectPath", {"message": "x", "projectPath": ["/p"]}),
    ("projectPath", {"message": "x", "projectPath": ""}),
    ("deviceToken", {"message": "x", "deviceToken": 1}),
    ("trust", {"message": "x", "trust": "yes"}),
    ("mode", {"message": "x", "mode": "yolo"}),
    ("title", {"message": "x", "title": 1}),
    ("requestId", {"message": "x", "requestId": 1}),
    ("attachments", {"message": "x", "attachments": "a"}),
    ("attachments[0]", {"message": "x", "attachments": ["a"]}),
    ("attachments[0].name", {"message": "x", "attachments": [{"data": ""}]}),
    ("attachments[0].name", {"message": "x", "attachments": [{"data": "", "name": " "}]}),
    ("attachments[0].data", {"message": "x", "attachments": [{"data": "%%%", "name": "a"}]}),
    ("attachments[1].data", {"message": "x", "attachments": [{"data": "", "name": "a"}, {"data": "A", "name": "b"}]}),
]


@pytest.mark.parametrize(("field", "body"), BAD_FIELDS)
def test_bad_field_is_400_naming_it_and_creates_nothing(ask: Caller, field: str, body: dict[str, Any]) -> None:
    answer = ask("POST", "/api/chat", body)

    assert answer.status_code == 400
    assert answer.json["success"] is False
    assert answer.json["data"]["field"] == field
    assert f"`{field}`" in answer.json["error"] or field == "requestId"
    assert ask.supervisor.calls == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'message': 'x'}",
        b'{"message": "\xff"}',
        b'{"message": "\\ud800"}',
        b'{"message": "\\udc00x"}',
        b'{"message": "x", "wait": NaN}',
        b'{"message": "x", "wait": 1e999}',
        b"[" * 100_000,
        b'{"message": "x", "priority": ' + b"[" * 970 + b"]" * 970 + b"}",
        b"[]",
        b'"x"',
        b"5",
        b"null",
    ],
)
def test_a_body_that_is_no_json_object_is_400(ask: Caller, raw: bytes) -> None:
    answer = ask("POST", "/api/chat", data=raw, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json["success"] is False
    assert ask.supervisor.calls == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/mixed", "", "json"])
def test_a_body_of_another_type_is_415(ask: Caller, kind: str) -> None:
    answer = ask("POST", "/api/chat", data=b'{"message": "x"}', content_type=kind)

    assert answer.status_code == 415
    assert ask.supervisor.calls == []


def test_the_size_limit_counts_bytes_and_is_inclusive(ask: Caller) -> None:
    assert ask("POST", "/api/chat", {"message": "x" * MAX_MESSAGE_BYTES}).status_code == 200
    over = ask("POST", "/api/chat", {"message": "é" * (MAX_MESSAGE_BYTES // 2) + "x"})

    assert over.status_code == 413
    assert over.json["code"] == "message_too_large"
    assert len(ask.supervisor.messages) == 1


def test_attachment_limit(ask: Caller) -> None:
    fits = {"data": b64(b"x" * MAX_ATTACHMENT_BYTES), "name": "a"}
    over = {"data": b64(b"x" * (MAX_ATTACHMENT_BYTES + 1)), "name": "a"}

    assert ask("POST", "/api/chat", {"message": "x", "attachments": [fits]}).status_code == 200
    answer = ask("POST", "/api/chat", {"message": "x", "attachments": [over]})

    assert answer.status_code == 413
    assert answer.json["data"]["field"] == "attachments[0]"
    assert len(ask.supervisor.messages) == 1


@pytest.mark.parametrize("session", ["nope", "../x", "00000000-0000-4000-8000-000000000000"])
def test_unknown_session_is_404(ask: Caller, session: str) -> None:
    answer = ask("POST", "/api/chat", {"message": "x", "sessionId": session})

    assert answer.status_code == 404
    assert answer.json["success"] is False
    assert ask.supervisor.sessions == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnsendableText("This text holds a control character."), 400),
        (StartFailed("`claude` is not installed.", code="claude_not_found"), 502),
    ],
)
def test_a_refusal_of_the_supervisor_keeps_its_status_and_code(ask: Caller, error: Any, status: int) -> None:
    ask.supervisor.fail["message.send"] = error

    answer = ask("POST", "/api/chat", {"message": "x"}, headers={"X-Request-Id": "r"})

    assert (answer.status_code, answer.json["code"], answer.json["error"]) == (status, error.error_code, error.message)
    assert answer.json["requestId"] == "r"


def test_a_supervisor_that_is_down_is_told_before_anything_is_sent(ask: Caller) -> None:
    ask.supervisor.fail["ping"] = Unavailable("The supervisor did not answer in time.")

    answer = ask("POST", "/api/chat", {"message": "x"})

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert ask.supervisor.ops() == []


@pytest.mark.parametrize(
    ("state", "error", "status"),
    [
        ("failed", None, 502),
        ("failed", ErrorBody(code="rate_limit", message="Over the limit.", status=429, data={"retryAfter": 30}), 429),
        ("failed", ErrorBody(code="odd", message="Odd.", status=200), 502),
        ("interrupted", None, 409),
        ("cancelled", None, 409),
    ],
)
def test_a_message_that_came_to_nothing_is_an_error_with_its_receipt(
    ask: Caller, state: str, error: ErrorBody | None, status: int
) -> None:
    ask.supervisor.becomes, ask.supervisor.error = state, error  # type: ignore[assignment]

    answer = ask("POST", "/api/chat", {"message": "x"})

    body = answer.json
    assert answer.status_code == body["status"] == status
    assert body["success"] is False
    assert body["state"] == state
    assert body["messageId"] in ask.supervisor.messages
    assert body["sessionId"] in ask.supervisor.sessions
    assert body["error"] == (error.message if error else body["detail"])
    if status == 429:
        assert answer.headers["Retry-After"] == "30"
