"""`POST /api/chat`: what is accepted, what of it reaches the bus, and what is answered."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.api_caller import Caller
from tests.api_double import FakeSupervisor


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


def test_a_repeat_is_harmless_and_says_so(ask: Caller) -> None:
    first = ask("POST", "/api/chat", {"message": "hi"}, headers={"Idempotency-Key": "k"})
    again = ask("POST", "/api/chat", {"message": "hi"}, headers={"Idempotency-Key": "k"})

    assert again.status_code == 200
    assert again.json["success"] is True
    assert again.json["duplicate"] is True
    assert again.json["messageId"] == first.json["messageId"]
    assert again.json["reply"] == first.json["reply"]
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


def test_when_all_holding_threads_are_taken_the_message_is_still_accepted(
    tmp_path: Path, supervisor: FakeSupervisor
) -> None:
    ask = Caller(tmp_path, supervisor, threads=4)
    holds = ask.app.extensions["pilotlight"].long_calls
    while holds.take():
        pass

    answer = ask("POST", "/api/chat", {"message": "x", "wait": 60})

    assert answer.status_code == 202
    assert supervisor.last("message.send").wait == 0
    holds.give()
    assert ask("POST", "/api/chat", {"message": "x", "wait": 60}).status_code == 200


@pytest.mark.parametrize("name", [b"", b'; name=""', b'; name="other"'])
def test_a_part_of_a_form_that_is_no_field_of_ours_is_let_pass(ask: Caller, name: bytes) -> None:
    parts = [b"Content-Disposition: form-data" + name, b'Content-Disposition: form-data; name="message"']
    form = b"".join(b"--x\r\n" + part + b"\r\n\r\nhello\r\n" for part in parts) + b"--x--\r\n"

    answer = ask("POST", "/api/chat", data=form, content_type="multipart/form-data; boundary=x")

    assert answer.status_code in (200, 202), answer.json
