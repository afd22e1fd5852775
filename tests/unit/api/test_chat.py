"""`POST /api/chat` and its sisters: what is accepted, what is refused, and that a refusal creates nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from shared.bus.messages import MAX_ATTACHMENT_BYTES, MAX_MESSAGE_BYTES, ErrorBody
from shared.errors import StartFailed, Unavailable, UnsendableText
from tests.api_double import Caller, FakeSupervisor


@pytest.fixture
def supervisor() -> FakeSupervisor:
    return FakeSupervisor()


@pytest.fixture
def ask(tmp_path: Path, supervisor: FakeSupervisor) -> Caller:
    return Caller(tmp_path, supervisor)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_answered_chat_has_the_reply_and_the_origin_fields(ask: Caller) -> None:
    answer = ask("POST", "/api/chat", {"message": "hi", "projectPath": "/w"}, headers={"X-Request-Id": "r-1"})

    assert answer.status_code == 200
    body = answer.json
    assert body["success"] is True
    assert body["reply"] == body["content"] == "Hello from the double."
    assert isinstance(body["message"], str)
    assert body["requestId"] == "r-1"
    assert body["projectPath"] == "/w"
    assert body["sessionId"] in ask.supervisor.sessions
    assert body["messageId"] in ask.supervisor.messages
    assert body["state"] == "answered"
    assert body["sessionState"] == "idle"
    assert body["deliveryMethod"] == "http"
    assert body["queuePosition"] == 0
    assert body["timestamp"] > 1_600_000_000_000
    assert body["usage"] == {"inputTokens": 3}
    assert body["toolCalls"] == [{"name": "Read"}]
    assert "duplicate" not in body
    assert answer.headers["X-Request-Id"] == "r-1"


def test_unsettled_chat_is_202_without_reply(ask: Caller) -> None:
    answer = ask("POST", "/api/chat", {"message": "hi", "wait": 0})

    assert answer.status_code == 202
    assert answer.json["success"] is True
    assert "reply" not in answer.json
    assert answer.json["content"] == ""
    assert answer.json["state"] == "queued"
    assert answer.json["queuePosition"] == 1
    assert answer.json["messageId"] in answer.json["message"]


def test_chat_that_meets_a_dialog_says_what_the_session_waits_for(ask: Caller) -> None:
    waiting = {"id": "w1", "for": "trust", "title": "Trust this folder?", "text": "…", "choices": [], "since": 1}
    session = ask.supervisor.add_session(state="waiting", waiting=waiting)
    ask.supervisor.becomes = "queued"

    answer = ask("POST", "/api/chat", {"message": "hi", "sessionId": session["id"]})

    assert answer.status_code == 202
    assert answer.json["waiting"]["for"] == "trust"
    assert answer.json["sessionState"] == "waiting"
    assert "Trust this folder?" in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        ({}, 120.0),
        ({"wait": 7}, 7.0),
        ({"wait": 0.5}, 0.5),
        ({"wait": None}, 120.0),
        ({"deviceToken": "abc"}, 50.0),
        ({"deviceToken": "abc", "wait": 3}, 3.0),
        ({"deviceToken": "abc", "wait": 100}, 100.0),
        ({"deviceToken": "abc", "wait": 0}, 0.0),
        ({"deviceToken": ""}, 120.0),
    ],
)
def test_wait_defaults_follow_the_configuration_and_the_device_token(
    ask: Caller, body: dict[str, Any], wait: float
) -> None:
    ask("POST", "/api/chat", {"message": "hi", **body})

    sent = ask.supervisor.last("message.send")
    timeout = next(seconds for op, _, seconds in ask.supervisor.calls if op == "message.send")
    assert sent.wait == wait
    assert timeout == wait + 10


def test_everything_that_chat_takes_reaches_the_bus(ask: Caller) -> None:
    session = ask.supervisor.add_session()
    file = {"data": b64(b"x"), "name": "a.txt", "mimeType": "text/plain", "size": 99}
    body = {
        "message": "  hi\n",
        "sessionId": session["id"].upper(),
        "projectPath": "/w",
        "attachments": [file],
        "trust": True,
        "title": "T",
        "priority": "high",
        "deviceId": 5,
        "userId": "u",
        "deviceInfo": {"os": "iOS"},
        "mode": "code",
        "somethingNew": [1],
    }

    assert ask("POST", "/api/chat", body).status_code == 200

    sent = ask.supervisor.last("message.send")
    assert sent.text == "  hi\n"
    assert sent.session_id == session["id"]
    assert (sent.project_path, sent.title, sent.trust, sent.mode) == ("/w", "T", True, "code")
    assert (sent.attachments[0].name, sent.attachments[0].mime_type, sent.attachments[0].size) == (
        "a.txt",
        "text/plain",
        99,
    )


def test_an_attachment_whose_size_is_not_told_has_that_of_its_bytes(ask: Caller) -> None:
    ask("POST", "/api/chat", {"message": "x", "attachments": [{"data": b64(b"12345"), "name": "a"}]})

    assert ask.supervisor.last("message.send").attachments[0].size == 5


@pytest.mark.parametrize("mode", ["normal", "planning", "code", None])
def test_the_mode_of_a_message_is_the_supervisors_business_in_new_and_old_sessions(
    ask: Caller, mode: str | None
) -> None:
    for session in ({}, {"sessionId": ask.supervisor.add_session()["id"]}):
        ask("POST", "/api/chat", {"message": "hi", "mode": mode, **session})
        sent = ask.supervisor.last("message.send")
        assert (sent.mode, sent.permission_mode) == (mode, None)


def test_the_answer_says_which_permission_mode_the_session_has(ask: Caller) -> None:
    session = ask.supervisor.add_session(permissionMode="plan")["id"]

    assert ask("POST", "/api/chat", {"message": "hi", "sessionId": session}).json["permissionMode"] == "plan"
    assert "permissionMode" not in ask("POST", "/api/chat", {"message": "hi"}).json


def test_only_a_chat_brings_back_a_session_that_has_ended(ask: Caller) -> None:
    session = ask.supervisor.add_session()["id"]

    ask("POST", "/api/chat", {"message": "hi", "sessionId": session})
    assert ask.supervisor.last("message.send").reopen is True
    ask("POST", f"/api/sessions/{session}/messages", {"message": "hi"})
    assert ask.supervisor.last("message.send").reopen is False


@pytest.mark.parametrize(
    ("headers", "in_body", "key"),
    [
        ({"Idempotency-Key": "i", "X-Request-Id": "x"}, "b", "i"),
        ({"X-Request-Id": "x"}, "b", "x"),
        ({}, "b", "b"),
    ],
)
def test_idempotency_key_precedence(ask: Caller, headers: dict[str, str], in_body: str, key: str) -> None:
    answer = ask("POST", "/api/chat", {"message": "hi", "requestId": in_body}, headers=headers)

    assert ask.supervisor.last("message.send").key == key
    assert answer.json["requestId"] == key


def test_a_message_without_a_key_gets_one_of_its_own(ask: Caller) -> None:
    first = ask("POST", "/api/chat", {"message": "hi"}).json["requestId"]
    second = ask("POST", "/api/chat", {"message": "hi"}).json["requestId"]

    assert len(first) >= 32
    assert first != second
    assert len(ask.supervisor.messages) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 201])
def test_an_impossible_key_is_refused(ask: Caller, key: str) -> None:
    answer = ask("POST", "/api/chat", {"message": "hi", "requestId": key})

    assert answer.status_code == 400
    assert answer.json["data"]["field"] == "requestId"
    assert ask.supervisor.ops() == []


def test_a_repeat_is_harmless_and_says_so(ask: Caller) -> None:
    first = ask("POST", "/api/chat", {"message": "hi"}, headers={"Idempotency-Key": "k"})
    again = ask("POST", "/api/chat", {"message": "hi"}, headers={"Idempotency-Key": "k"})

    assert again.status_code == 200
    assert again.json["success"] is True
    assert again.json["duplicate"] is True
    assert again.json["messageId"] == first.json["messageId"]
    assert again.json["reply"] == first.json["reply"]
    assert len(ask.supervisor.messages) == 1


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


def test_base64_with_line_breaks_is_accepted(ask: Caller) -> None:
    ask("POST", "/api/chat", {"message": "x", "attachments": [{"data": "YWJj\r\nZGVm\n", "name": "a"}]})

    assert ask.supervisor.last("message.send").attachments[0].data == "YWJjZGVm"


@pytest.mark.parametrize("path", ["/api/chat", "/api/sessions/{}/messages"])
def test_a_text_may_be_changed_unless_exact_is_asked_for_and_the_answer_tells(ask: Caller, path: str) -> None:
    session = ask.supervisor.add_session()["id"]
    body = {"message": "cafe\u0301"}
    for sent, exact in ((body, False), ({**body, "exact": False}, False), ({**body, "exact": True}, True)):
        assert "normalized" not in ask("POST", path.format(session), sent).json
        assert ask.supervisor.last("message.send").exact is exact
    assert ask("POST", path.format(session), {**body, "exact": "yes"}).status_code == 400
    form = {"message": "cafe\u0301", "exact": "true"}
    ask("POST", path.format(session), data=form, content_type="multipart/form-data")
    assert ask.supervisor.last("message.send").exact is True

    ask.supervisor.changed = {"typedText": "caf\xe9", "normalized": ["nfc"]}
    answer = ask("POST", path.format(session), body)

    assert answer.json["normalized"] == ["nfc"]
    receipt = ask("GET", f"/api/messages/{answer.json['messageId']}").json
    assert (receipt["text"], receipt["typedText"], receipt["normalized"]) == ("cafe\u0301", "caf\xe9", ["nfc"])


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


def test_when_all_holding_threads_are_taken_the_message_is_still_accepted(
    tmp_path: Path, supervisor: FakeSupervisor
) -> None:
    ask = Caller(tmp_path, supervisor, threads=4)
    holds = ask.app.extensions["pilotlight"].holds
    while holds.take():
        pass

    answer = ask("POST", "/api/chat", {"message": "x", "wait": 60})

    assert answer.status_code == 202
    assert supervisor.last("message.send").wait == 0
    holds.give()
    assert ask("POST", "/api/chat", {"message": "x", "wait": 60}).status_code == 200


class TestSessionMessages:
    def test_message_and_text_are_one_field_and_wait_is_0(self, ask: Caller) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        for body in ({"message": "a"}, {"text": "a"}, {"message": "a", "text": "a", "front": True}):
            assert ask("POST", path, body).status_code == 202

        sent = ask.supervisor.last("message.send")
        assert (sent.text, sent.front, sent.wait) == ("a", True, 0.0)

    def test_wait_holds_for_the_reply(self, ask: Caller) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        answer = ask("POST", path, {"text": "a", "wait": 5})

        assert (answer.status_code, answer.json["reply"]) == (200, "Hello from the double.")

    @pytest.mark.parametrize(
        ("field", "body"),
        [
            ("mesage", {"mesage": "a", "message": "a"}),
            ("text", {"message": "a", "text": "b"}),
            ("message", {}),
            ("front", {"message": "a", "front": 1}),
            ("projectPath", {"message": "a", "projectPath": "/p"}),
        ],
    )
    def test_ours_refuse_what_they_do_not_know(self, ask: Caller, field: str, body: dict[str, Any]) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        answer = ask("POST", path, body)

        assert (answer.status_code, answer.json["data"]["field"]) == (400, field)
        assert ask.supervisor.calls == []

    def test_receipt_has_state_and_steps(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi"}).json

        receipt = ask("GET", f"/api/messages/{sent['messageId']}?wait=2").json

        assert receipt["success"] is True
        assert receipt["messageId"] == receipt["id"] == sent["messageId"]
        assert receipt["state"] == "answered"
        assert receipt["content"] == receipt["reply"] == "Hello from the double."
        assert "accepted" in receipt["steps"]
        assert ask.supervisor.last("message.get").wait == 2.0

    def test_list_is_paged(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi"}).json

        page = ask("GET", f"/api/sessions/{sent['sessionId']}/messages?limit=5&state=answered&after=c").json

        assert [message["id"] for message in page["messages"]] == [sent["messageId"]]
        assert page["next"] is None
        asked = ask.supervisor.last("message.list")
        assert (asked.limit, asked.state, asked.after) == (5, "answered", "c")

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "state=gone", "offset=1"])
    def test_bad_query_is_400(self, ask: Caller, query: str) -> None:
        session = ask.supervisor.add_session()["id"]

        assert ask("GET", f"/api/sessions/{session}/messages?{query}").status_code == 400

    @pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=nan", "wait=inf", "wait=9999"])
    def test_bad_wait_is_400(self, ask: Caller, query: str) -> None:
        assert ask("GET", f"/api/messages/m_1?{query}").status_code == 400

    @pytest.mark.parametrize("id", ["m_unknown", "x", "m_..%2f", "m_" + "a" * 99])
    def test_unknown_message_is_404(self, ask: Caller, id: str) -> None:
        assert ask("GET", f"/api/messages/{id}").status_code == 404
        assert ask("DELETE", f"/api/messages/{id}").status_code == 404

    def test_cancel(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi", "wait": 0}).json

        assert ask("GET", f"/api/messages/{sent['messageId']}").json["content"] == ""
        assert ask("DELETE", f"/api/messages/{sent['messageId']}").json["state"] == "cancelled"
        assert ask("DELETE", f"/api/messages/{sent['messageId']}").status_code == 409


@pytest.mark.parametrize("name", [b"", b'; name=""', b'; name="other"'])
def test_a_part_of_a_form_that_is_no_field_of_ours_is_let_pass(ask: Caller, name: bytes) -> None:
    parts = [b"Content-Disposition: form-data" + name, b'Content-Disposition: form-data; name="message"']
    form = b"".join(b"--x\r\n" + part + b"\r\n\r\nhello\r\n" for part in parts) + b"--x--\r\n"

    answer = ask("POST", "/api/chat", data=form, content_type="multipart/form-data; boundary=x")

    assert answer.status_code in (200, 202), answer.json
