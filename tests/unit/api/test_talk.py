"""The calls of talking, over the double; and a message as a form with files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shared.access.tokens import NamedTokens
from shared.bus.messages import MAX_ATTACHMENT_BYTES
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.message_double import CONVERSATION

BOUNDARY = "b0undary"


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """(field, file name or None, content), as multipart/form-data."""
    body = b""
    for name, file, content in parts:
        told = f'; filename="{file}"\r\nContent-Type: text/x-python' if file is not None else ""
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def post_form(ask: Caller, path: str, data: bytes, **headers: str | None) -> Any:
    client = ask.app.test_client()
    sent: dict[str, str | None] = {
        "Authorization": f"Bearer {ask.token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        **headers,
    }
    return client.post(path, data=data, headers={k: v for k, v in sent.items() if v is not None})


def test_a_form_with_files_is_a_message(ask: Caller, supervisor: FakeSupervisor) -> None:
    data = form(
        ("message", None, b"42"),
        ("wait", None, b"5"),
        ("file", "a.py", b"print(1)"),
        ("other", "b.bin", bytes(range(256))),
    )
    answer = post_form(ask, "/api/chat", data)
    assert answer.status_code == 200, answer.json
    sent = supervisor.last("message.send")
    assert (sent.text, sent.wait) == ("42", 5.0)
    assert [(item.name, item.mime_type, base64.b64decode(item.data)) for item in sent.attachments] == [
        ("a.py", "text/x-python", b"print(1)"),
        ("b.bin", "text/x-python", bytes(range(256))),
    ]
    session = supervisor.add_session()["id"]
    answer = post_form(
        ask, f"/api/sessions/{session}/messages", form(("text", None, b"hi"), ("interrupt", None, b"true"))
    )
    assert answer.status_code == 202, answer.json
    assert supervisor.last("message.send").interrupt


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([("message", None, b"a"), ("message", None, b"b")], 400),
        ([("attachments", None, b"[]"), ("message", None, b"a")], 400),
        ([("message", None, b"a"), ("wait", None, b"soon")], 400),
        ([("message", None, b"a"), ("wait", None, b"[" * 100_000)], 400),
        ([("file", "a", b"x")], 400),
        ([("message", None, b"a"), ("file", "big", b"x" * (MAX_ATTACHMENT_BYTES + 1))], 413),
    ],
)
def test_a_wrong_form_sends_nothing(ask: Caller, supervisor: FakeSupervisor, parts: Any, status: int) -> None:
    assert post_form(ask, "/api/chat", form(*parts)).status_code == status
    assert "message.send" not in supervisor.ops()


def test_forms_need_a_token_our_own_page_and_a_call_that_takes_them(ask: Caller, supervisor: FakeSupervisor) -> None:
    data = form(("message", None, b"hi"))
    assert post_form(ask, "/api/chat", data, Authorization=None).status_code == 401
    assert post_form(ask, "/api/chat", data, Origin="https://elsewhere.example").status_code == 403
    assert post_form(ask, "/api/sessions", data).status_code == 415
    assert post_form(ask, "/api/chat", data, **{"Content-Type": "application/x-www-form-urlencoded"}).status_code == 415
    assert supervisor.ops() == []


def test_what_is_asked_reaches_the_supervisor(ask: Caller, supervisor: FakeSupervisor) -> None:
    session = supervisor.add_session()["id"]
    assert ask("GET", f"/api/sessions/{session}/history?limit=7&before=0.12").json["entries"]
    history = supervisor.last("history")
    assert (history.before, history.limit) == ("0.12", 7)
    told = ask("POST", f"/api/sessions/{session}/commands", {"command": "/compact"}, headers={"Idempotency-Key": "k"})
    assert (told.status_code, told.json["output"]) == (200, "Done.")
    assert supervisor.last("session.command").key == "k"
    export = ask("GET", f"/api/sessions/{session}/export?format=json")
    assert export.headers["Content-Disposition"] == 'attachment; filename="s.json"'
    assert json.loads(export.data) == {}
    assert ask("GET", "/api/search?q=a%20b").json["complete"]
    search = supervisor.last("search")
    assert (search.query, search.everywhere) == ("a b", True)
    assert ask("POST", f"/api/sessions/{session}/fork", {"title": "F"}).status_code == 201
    for path in ("/api/search", "/api/usage?by=week", f"/api/sessions/{session}/history?before=x"):
        assert ask("GET", path).status_code == 400


def test_a_conversation_from_elsewhere_is_read_by_administrators(
    ask: Caller, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    path = f"/api/conversations/{CONVERSATION.upper()}/history"
    assert ask("GET", f"{path}?limit=7&before=0.12").json["entries"][0]["text"] == "Hello"
    wanted = supervisor.last("conversation.history")
    assert (wanted.conversation_id, wanted.before, wanted.limit) == (CONVERSATION, "0.12", 7)
    chatter = NamedTokens(tmp_path / "tokens.json").add("phone", "chat")
    assert ask("GET", path, headers={"Authorization": f"Bearer {chatter}"}).status_code == 403
    for unknown in ("00000000-0000-4000-8000-000000000000", "..%2fx", "x"):
        assert ask("GET", f"/api/conversations/{unknown}/history").status_code == 404


def test_lists_are_read_page_by_page(ask: Caller, supervisor: FakeSupervisor) -> None:
    after = "1795429790991.123e4567-e89b-42d3-a456-426614174000"
    for path, op, limit in (
        ("/api/sessions", "session.list", None),
        ("/api/search?q=x", "search", 100),
        ("/api/usage", "usage", None),
        ("/api/conversations", "conversations.list", 100),
    ):
        mark = "&" if "?" in path else "?"
        assert ask("GET", path).json["next"] is None
        assert (supervisor.last(op).after, supervisor.last(op).limit) == (None, limit)
        assert ask("GET", f"{path}{mark}after={after}&limit=7").status_code == 200
        assert (supervisor.last(op).after, supervisor.last(op).limit) == (after, 7)
        assert ask("GET", f"{path}{mark}after=there").status_code == 400
        assert ask("GET", f"{path}{mark}limit=0").status_code == 400


def test_an_export_comes_in_parts_and_gives_back_its_share(ask: Caller, supervisor: FakeSupervisor) -> None:
    session = supervisor.add_session()["id"]
    for _ in range(100):
        export = ask("GET", f"/api/sessions/{session}/export")
        assert export.text == "# Hello again"
        assert supervisor.last("export").after == "0.1.1"
        export.close()


def test_what_was_said_elsewhere_is_searched_for_administrators(
    ask: Caller, supervisor: FakeSupervisor, tmp_path: Path
) -> None:
    session = supervisor.add_session()["id"]
    reader = NamedTokens(tmp_path / "tokens.json").add("wall", "answer")
    assert ask("GET", "/api/search?q=a", headers={"Authorization": f"Bearer {reader}"}).status_code == 200
    assert not supervisor.last("search").everywhere
    assert ask("GET", f"/api/search?q=a&session={session}").status_code == 200
    assert not supervisor.last("search").everywhere


def test_a_command_that_failed_says_so(ask: Caller, supervisor: FakeSupervisor) -> None:
    session = supervisor.add_session()
    error = {"code": "not_submitted", "message": "Look at its screen.", "status": 500}
    failed = {"messageId": "m_1", "state": "failed", "session": session, "error": error}
    supervisor.op_session_command = lambda args: failed  # type: ignore[method-assign, assignment]
    told = ask("POST", f"/api/sessions/{session['id']}/commands", {"command": "/x1"})
    assert (told.status_code, told.json["code"], told.json["success"]) == (500, "not_submitted", False)
