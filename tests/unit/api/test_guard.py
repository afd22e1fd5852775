"""Who is let in, in which order, and what every refusal looks like."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from shared.access.tokens import TokenFile
from shared.bus.messages import MAX_FRAME_BYTES
from shared.logs import JsonLines
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor


@pytest.fixture
def ask(tmp_path: Path) -> Caller:
    return Caller(tmp_path, FakeSupervisor(), allowed_hosts=["mac.local", "box:8080"], allowed_origins=["https://ui.x"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:3001", "LOCALHOST:9", "127.0.0.1:3001", "[::1]:3001", "[::1]", "mac.local", "mac.local:9",
     "box:8080"],
)  # fmt: skip
def test_hosts_of_ours(ask: Caller, host: str) -> None:
    assert ask("GET", "/api/sessions", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "box", "box:80", "", "127.0.0.1@evil", "0.0.0.0:3001", "localhost:x",
     "localhost, evil", "evil/localhost", "127.0.0.2", "[::1", "::1"],
)  # fmt: skip
def test_other_hosts_are_403_even_with_the_token(ask: Caller, host: str) -> None:
    for path in ("/api/sessions", "/health", "/nowhere"):
        answer = ask("GET", path, headers={"Host": host})
        assert (answer.status_code, answer.json["code"]) == (403, "host_not_allowed")
    assert ask.supervisor.calls == []


@pytest.mark.parametrize("origin", ["http://localhost", "HTTP://localhost", "https://ui.x"])
def test_own_and_allowed_origins(ask: Caller, origin: str) -> None:
    assert ask("GET", "/api/sessions", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://localhost:5173", "http://evil.example", "null", "", "https://ui.x.evil", "file://localhost"]
)
def test_other_origins_are_403_even_with_the_token(ask: Caller, origin: str) -> None:
    answer = ask("POST", "/api/chat", {"message": "x"}, headers={"Origin": origin})

    assert (answer.status_code, answer.json["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert ask.supervisor.calls == []


def test_cors_is_for_configured_origins_only(ask: Caller, tmp_path: Path) -> None:
    preflight = {"Origin": "https://ui.x", "Access-Control-Request-Method": "POST", "Authorization": None}
    answer = ask("OPTIONS", "/api/chat", headers=preflight)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://ui.x")
    assert "Origin" in answer.headers["Vary"]

    default = Caller(tmp_path / "other", FakeSupervisor())
    answer = default("GET", "/api/sessions", headers={"Origin": "http://localhost"})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    assert default("OPTIONS", "/api/chat", headers=preflight).status_code == 403


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic TOKEN", "TOKEN", "Bearer é"])
def test_without_the_token_everything_is_401(ask: Caller, header: str | None) -> None:
    value = header.replace("TOKEN", ask.token) if header else header
    for method, path in (("GET", "/api/sessions"), ("POST", "/api/chat"), ("GET", "/metrics"), ("GET", "/nowhere")):
        answer = ask(method, path, headers={"Authorization": value})
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert ask.supervisor.calls == []


def test_the_token_is_not_taken_from_the_query(ask: Caller) -> None:
    answer = ask("GET", f"/api/sessions?token={ask.token}&access_token={ask.token}", headers={"Authorization": None})

    assert answer.status_code == 401


def test_order_is_host_origin_token_route(ask: Caller) -> None:
    wrong: dict[str, Any] = {"Host": "evil", "Origin": "http://evil.example", "Authorization": None}

    def status(method: str, **headers: Any) -> tuple[int, str]:
        answer = ask(method, "/api/sessions/active", headers=headers, data=b"x", content_type="text/plain")
        return answer.status_code, answer.json["code"]

    assert status("PUT", **wrong) == (403, "host_not_allowed")
    del wrong["Host"]
    assert status("PUT", **wrong) == (403, "origin_not_allowed")
    del wrong["Origin"]
    assert status("PUT", **wrong) == (401, "unauthorized")
    assert status("PUT") == (405, "method_not_allowed")
    assert status("GET") == (415, "unsupported_media_type")


def test_health_and_the_index_need_no_token(ask: Caller) -> None:
    for path in ("/health", "/"):
        assert ask("GET", path, headers={"Authorization": None}).status_code == 200


class TestProblems:
    def test_shape(self, ask: Caller) -> None:
        answer = ask("GET", "/nowhere")

        body = answer.json
        assert answer.status_code == 404
        assert answer.content_type == "application/json"
        assert body == {
            "success": False,
            "error": body["detail"],
            "code": "not_found",
            "retryable": False,
            "type": "urn:pilotlight:problem:not_found",
            "title": "Not Found",
            "status": 404,
            "detail": "There is no /nowhere here. GET /api/docs lists what there is.",
        }

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("*/*", "application/json"),
            ("application/json", "application/json"),
            ("application/problem+json", "application/problem+json"),
            ("application/problem+json, application/json;q=0.5", "application/problem+json"),
            ("text/html", "application/json"),
        ],
    )
    def test_content_type_follows_accept(self, ask: Caller, accept: str, kind: str) -> None:
        assert ask("GET", "/nowhere", headers={"Accept": accept}).content_type == kind

    def test_wrong_method_names_the_right_ones(self, ask: Caller) -> None:
        answer = ask("PUT", "/api/chat", {})

        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]
        assert "POST" in answer.json["error"]

    def test_a_body_over_the_frame_is_413(self, ask: Caller) -> None:
        answer = ask("POST", "/api/chat", data=b"x" * (MAX_FRAME_BYTES + 1), content_type="application/json")

        assert (answer.status_code, answer.json["success"]) == (413, False)

    def test_a_bug_is_500_without_its_text_in_answer_or_log(
        self, ask: Caller, caplog: pytest.LogCaptureFixture
    ) -> None:
        ask.supervisor.fail["session.list"] = ValueError("SECRET PROMPT")  # type: ignore[assignment]

        answer = ask("GET", "/api/sessions")

        assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
        lines = [JsonLines().format(record) for record in caplog.records]
        assert "unexpected_error" in "".join(lines)
        assert "SECRET" not in answer.get_data(as_text=True) + "".join(lines)

    def test_security_headers_on_everything(self, ask: Caller) -> None:
        for path in ("/", "/health", "/api/sessions", "/nowhere"):
            headers = ask("GET", path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_logs_hold_neither_token_nor_prompt_nor_reply(ask: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask.supervisor.reply = "REPLYTEXT"

    ask("POST", "/api/chat?message=QUERYTEXT", {"message": "PROMPTTEXT"}, headers={"X-Request-Id": "req-1"})

    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert any(line["event"] == "request" and line["requestId"] == "req-1" for line in lines)
    for secret in (ask.token, "PROMPTTEXT", "REPLYTEXT", "QUERYTEXT"):
        assert secret not in json.dumps(lines)


class TestToken:
    def test_is_made_once_private_and_long(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        TokenFile(path).ensure()
        first = path.read_text()
        TokenFile(path).ensure()

        assert path.read_text() == first
        assert len(first.strip()) >= 43
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in tmp_path.iterdir()] == ["token"]

    def test_a_new_token_counts_at_once_and_the_old_no_more(self, ask: Caller, tmp_path: Path) -> None:
        (tmp_path / "next").write_text("another-token-made-by-hand\n")
        (tmp_path / "next").replace(tmp_path / "token")

        assert ask("GET", "/api/sessions").status_code == 401
        assert (
            ask("GET", "/api/sessions", headers={"Authorization": "bearer another-token-made-by-hand"}).status_code
            == 200
        )
        assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600

    def test_an_empty_file_is_no_token(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.write_text("\n")
        token = TokenFile(path)
        assert not token.matches("")

        token.ensure()

        assert token.matches(path.read_text().strip())
        assert not token.matches("")


def test_logs_hold_no_link_that_answers(ask: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask("POST", "/api/notifications/links/a-secret-link")

    lines = [JsonLines().format(record) for record in caplog.records]
    assert any("/api/notifications/links/<token>" in line for line in lines)
    assert "a-secret-link" not in "".join(lines)
