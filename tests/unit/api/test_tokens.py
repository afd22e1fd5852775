"""Named tokens: their scopes, their life, their pace, and that nothing but a hash of them is kept."""

from __future__ import annotations

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.auth import guard
from api.auth.rate_limit import Pace
from api.reference import calls
from api.reference.call import ID, MESSAGE_ID, Call
from cli.__main__ import cli
from cli.context import App
from shared import paths as places
from shared.access.tokens import SCOPES, Identity, Keyring, NamedTokens, allows
from shared.errors import Busy, Conflict, InvalidRequest, NotFound, Unavailable
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.unit.api.test_openapi import furnished


@pytest.fixture
def tokens(tmp_path: Path) -> NamedTokens:
    return NamedTokens(tmp_path / "tokens.json")


@pytest.fixture
def ask(tmp_path: Path) -> Caller:
    return Caller(tmp_path, furnished())


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


class TestFile:
    def test_holds_no_token_and_is_private(self, tokens: NamedTokens, tmp_path: Path) -> None:
        secret = tokens.add("phone", "chat")

        path = tmp_path / "tokens.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert secret not in path.read_text()
        assert len(secret) >= 43
        (record,) = json.loads(path.read_text())["tokens"]
        assert set(record) == {"name", "scope", "hash", "createdAt", "rotatedAt"}
        assert not list(tmp_path.glob(".tokens.json.*[!k]")), "no draft is left behind"

    def test_knows_whose_token_it_is(self, tokens: NamedTokens) -> None:
        first, second = tokens.add("phone", "chat"), tokens.add("wall", "read")

        assert tokens.identify(first) == Identity("phone", "chat")
        assert tokens.identify(second) == Identity("wall", "read")
        for wrong in ("", "pl_", first[:-1], first + "x", first.upper(), "\udcff", "é"):
            assert tokens.identify(wrong) is None

    def test_changes_by_another_process_count_at_once(self, tokens: NamedTokens, tmp_path: Path) -> None:
        other = NamedTokens(tmp_path / "tokens.json")
        old = other.add("phone", "chat")
        assert tokens.identify(old)

        new = other.rotate("phone")
        assert tokens.identify(old) is None
        assert tokens.identify(new) == Identity("phone", "chat")

        other.revoke("phone")
        assert tokens.identify(new) is None
        assert other.records() == []

    def test_refusals(self, tokens: NamedTokens) -> None:
        tokens.add("phone", "chat")
        with pytest.raises(Conflict):
            tokens.add("phone", "read")
        with pytest.raises(Conflict):
            tokens.add("default", "read")
        for name in ("", "a b", "../x", "x" * 65, "-x", "a\n"):
            with pytest.raises(InvalidRequest):
                tokens.add(name, "read")
        with pytest.raises(InvalidRequest):
            tokens.add("x", "root")  # type: ignore[arg-type]
        for change in (tokens.rotate, tokens.revoke):
            with pytest.raises(NotFound):
                change("nobody")

    def test_a_damaged_file_lets_nobody_in_and_says_so(self, tokens: NamedTokens, tmp_path: Path) -> None:
        secret = tokens.add("phone", "admin")
        (tmp_path / "tokens.json").write_text("{")

        assert tokens.identify(secret) is None
        with pytest.raises(Unavailable, match=r"tokens\.json"):
            tokens.records()
        with pytest.raises(Unavailable):
            tokens.add("other", "read")
        assert (tmp_path / "tokens.json").read_text() == "{", "nothing is overwritten"

    def test_many_at_once_lose_none(self, tokens: NamedTokens, tmp_path: Path) -> None:
        def add(number: int) -> str:
            return NamedTokens(tmp_path / "tokens.json").add(f"t{number}", "read")

        with ThreadPoolExecutor(8) as crowd:
            secrets = list(crowd.map(add, range(16)))

        assert {tokens.identify(secret).name for secret in secrets} == {f"t{number}" for number in range(16)}  # type: ignore[union-attr]

    def test_the_default_token_is_admin_and_stays_while_the_others_come_and_go(self, tmp_path: Path) -> None:
        keyring = Keyring(places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}))
        keyring.ensure()
        secret = (tmp_path / "token").read_text().strip()

        assert keyring.identify(secret) == Identity("default", "admin")
        (tmp_path / "tokens.json").write_text("nonsense")
        assert keyring.identify(secret) == Identity("default", "admin")
        fresh = keyring.default.rotate()
        assert keyring.identify(secret) is None
        assert keyring.identify(fresh) == Identity("default", "admin")


class TestScopes:
    def test_each_may_do_what_the_one_before_it_may(self) -> None:
        assert SCOPES == ("read", "chat", "answer", "admin")
        for have in range(4):
            for needed in range(4):
                assert allows(SCOPES[have], SCOPES[needed]) is (have >= needed)

    @pytest.mark.parametrize("call", calls.CALLS, ids=lambda call: f"{call.method} {call.path}")
    def test_every_call_refuses_what_is_below_its_scope(self, call: Call, ask: Caller, tmp_path: Path) -> None:
        path = call.path.replace("<id>", MESSAGE_ID if "/messages/<" in call.path else ID)
        body = dict(call.body.example) if call.body else None
        for scope in SCOPES:
            secret = NamedTokens(tmp_path / "tokens.json").add(f"t-{scope}", scope)
            ask.supervisor.calls.clear()
            answer = ask(call.method, path, body, **bearer(secret), buffered=True)
            if call.path == "/api/sign-in":
                assert answer.json["code"] == "not_our_page"  # for browsers, whatever token stands beside it
            elif call.scope is None or allows(scope, call.scope):
                assert answer.status_code not in (401, 403), answer.json
                if ask.supervisor.calls:
                    assert set(ask.supervisor.actors) <= {f"token:t-{s}" for s in SCOPES} | {"api"}
            else:
                assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")
                told, note, actor = ask.supervisor.told[-1]
                assert (told, note.needed, note.scope, actor) == (
                    "audit.refused",
                    call.scope,
                    scope,
                    f"token:t-{scope}",
                )
                assert note.call.partition(" ")[2] == call.path
                assert answer.json["data"] == {"needed": call.scope, "scope": scope}
                assert f"`{call.scope}`" in answer.json["error"]
                assert call.scope in answer.headers["WWW-Authenticate"]
                assert ask.supervisor.calls == []

    @pytest.mark.parametrize(
        ("method", "path", "body", "needed"),
        [
            ("POST", "/api/chat", {"message": "x", "trust": True}, "answer"),
            ("POST", "/api/sessions", {"projectPath": "/p", "trust": True}, "answer"),
            ("POST", "/api/sessions", {"projectPath": "/p", "permissionMode": "bypassPermissions"}, "admin"),
            ("POST", "/api/sessions", {"projectPath": "/p", "mcpConfig": "{}"}, "admin"),
            ("POST", "/api/sessions", {"projectPath": "/p", "addDirs": ["/"]}, "admin"),
            ("POST", "/api/sessions", {"projectPath": "/p", "appendSystemPrompt": "x"}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"permissionMode": "acceptEdits"}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"permissionMode": None}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"appendSystemPrompt": None}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"appendSystemPrompt": ""}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"addDirs": []}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"addDirs": None}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"mcpConfig": None}, "admin"),
            ("PATCH", f"/api/sessions/{ID}", {"mcpConfig": {}}, "admin"),
        ],
    )  # fmt: skip
    def test_fields_that_decide_for_claude_need_more(
        self, ask: Caller, tmp_path: Path, method: str, path: str, body: Any, needed: str
    ) -> None:
        secret = NamedTokens(tmp_path / "tokens.json").add("bot", "chat")

        answer = ask(method, path, body, **bearer(secret))

        assert (answer.status_code, answer.json["data"]["needed"]) == (403, needed)
        assert ask.supervisor.calls == []
        assert ask(method, path, body).status_code in (200, 201)

    def test_fields_that_ask_for_nothing_need_no_more(self, ask: Caller, tmp_path: Path) -> None:
        secret = NamedTokens(tmp_path / "tokens.json").add("bot", "chat")
        nothing = {"permissionMode": None, "mcpConfig": None, "addDirs": [], "appendSystemPrompt": None}

        assert ask("POST", "/api/sessions", {"projectPath": "/p", **nothing}, **bearer(secret)).status_code == 201
        changed = {"title": "T", "model": None, "autoKeepAlive": True}
        assert ask("PATCH", f"/api/sessions/{ID}", changed, **bearer(secret)).status_code == 200

    def test_the_actor_of_every_call_is_the_token(self, ask: Caller, tmp_path: Path) -> None:
        secret = NamedTokens(tmp_path / "tokens.json").add("phone", "chat")

        ask("POST", "/api/chat", {"message": "x"}, **bearer(secret))
        assert set(ask.supervisor.actors) == {"token:phone"}
        ask.supervisor.actors.clear()
        ask("GET", "/api/events?since=0", **bearer(secret))
        assert set(ask.supervisor.actors) == {"token:phone"}
        ask.supervisor.actors.clear()
        ask("GET", "/api/sessions")
        assert set(ask.supervisor.actors) == {"token:default"}

    def test_a_token_that_is_revoked_while_a_message_waits_gets_no_reply(self, ask: Caller, tmp_path: Path) -> None:
        tokens = NamedTokens(tmp_path / "tokens.json")
        secret = tokens.add("phone", "chat")
        send = ask.supervisor.op_message_send
        before = len(ask.supervisor.messages)

        def meanwhile(args: Any) -> Any:
            tokens.revoke("phone")
            return send(args)

        ask.supervisor.op_message_send = meanwhile  # type: ignore[method-assign]
        answer = ask("POST", "/api/chat", {"message": "x", "requestId": "r"}, **bearer(secret))
        assert (answer.status_code, answer.json["code"], answer.json["requestId"]) == (401, "token_revoked", "r")
        assert ask.supervisor.reply not in answer.text

        ask.supervisor.op_message_send = send  # type: ignore[method-assign]
        again = ask("POST", "/api/chat", {"message": "x", "requestId": "r"})
        assert (again.json["duplicate"], len(ask.supervisor.messages)) == (True, before + 1)

    def test_a_route_outside_the_table_is_for_admins(self, ask: Caller, tmp_path: Path) -> None:
        ask.app._got_first_request = False
        ask.app.add_url_rule("/api/forgotten", view_func=lambda: "x")
        secret = NamedTokens(tmp_path / "tokens.json").add("a", "answer")

        assert ask("GET", "/api/forgotten", **bearer(secret)).status_code == 403
        assert ask("GET", "/api/forgotten").status_code == 200


class TestPace:
    def test_a_minute_worth_at_once_then_evenly(self) -> None:
        now = [0.0]
        pace = Pace(60, clock=lambda: now[0])
        for _ in range(60):
            pace.take("a")
        with pytest.raises(Busy) as caught:
            pace.take("a")
        assert caught.value.data["retryAfter"] == pytest.approx(1.0)
        pace.take("b")
        now[0] += 1.0
        pace.take("a")
        with pytest.raises(Busy):
            pace.take("a")
        now[0] += 3600
        for _ in range(60):
            pace.take("a")
        with pytest.raises(Busy):
            pace.take("a")

    def test_acting_is_limited_by_token_and_reading_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "Pace", lambda rate: Pace(rate, clock=lambda: 0.0))
        ask = Caller(tmp_path, FakeSupervisor(), rate_per_minute=3)
        other = NamedTokens(tmp_path / "tokens.json").add("other", "chat")
        for _ in range(3):
            assert ask("POST", "/api/chat", {"message": "x"}).status_code == 200
        answer = ask("POST", "/api/chat", {"message": "x"})

        assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (429, "rate_limited", True)
        assert int(answer.headers["Retry-After"]) == 20
        assert len(ask.supervisor.messages) == 3
        assert ask("GET", "/api/sessions").status_code == 200
        assert ask("POST", "/api/chat", {"message": "x"}, **bearer(other)).status_code == 200

    def test_what_is_refused_before_costs_nothing(self, tmp_path: Path) -> None:
        ask = Caller(tmp_path, FakeSupervisor(), rate_per_minute=1)
        for _ in range(5):
            assert ask("POST", "/api/chat", {"message": "x"}, headers={"Origin": "http://evil"}).status_code == 403
            assert ask("POST", "/api/chat", data=b"x", content_type="text/plain").status_code == 415
        assert ask("POST", "/api/chat", {"message": "x"}).status_code == 200

    def test_zero_is_no_limit(self) -> None:
        pace = Pace(0)
        for _ in range(1000):
            pace.take("a")


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Any:
        def run(*arguments: str, fails: bool = False) -> Any:
            app = App(environment={"PILOTLIGHT_HOME": str(tmp_path)})
            result = CliRunner().invoke(cli, ["tokens", *arguments], obj=app)
            assert bool(result.exception) is fails, (result.output, result.exception)
            return result

        return run

    def test_add_list_rotate_revoke(self, run: Any, tmp_path: Path) -> None:
        secret = run("add", "phone", "--scope", "chat").stdout.strip()
        keyring = Keyring(places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}))
        assert keyring.identify(secret) == Identity("phone", "chat")

        listed = run("list").stdout
        assert re.search(r"^phone +chat", listed, re.MULTILINE)
        assert re.search(r"^default +admin", listed, re.MULTILINE)
        assert secret not in listed
        assert "hash" not in run("list", "--json").stdout

        fresh = json.loads(run("rotate", "phone", "--json").stdout)["token"]
        assert keyring.identify(secret) is None
        assert keyring.identify(fresh) == Identity("phone", "chat")

        run("revoke", "phone")
        assert keyring.identify(fresh) is None

    def test_refusals_are_sentences(self, run: Any) -> None:
        run("add", "phone", "--scope", "root", fails=True)
        run("add", "phone", fails=True)
        assert isinstance(run("revoke", "default", fails=True).exception, InvalidRequest)
        assert isinstance(run("revoke", "nobody", fails=True).exception, NotFound)

    def test_the_default_token_can_be_rotated(self, run: Any, tmp_path: Path) -> None:
        secret = run("rotate", "default").stdout.strip()

        assert (tmp_path / "token").read_text().strip() == secret


def test_tokens_are_made_rotated_and_revoked_over_http_and_told_once(ask: Caller) -> None:
    made = ask("POST", "/api/tokens", {"name": "ci-bot", "scope": "chat"})
    assert (made.status_code, made.json["token"]["name"], made.json["token"]["scope"]) == (201, "ci-bot", "chat")
    assert made.headers["Cache-Control"] == "no-store"
    first = made.json["secret"]
    assert ask("GET", "/api/sessions", **bearer(first)).status_code == 200
    for method, path in (
        ("GET", "/api/tokens"),
        ("POST", "/api/tokens/ci-bot/rotate"),
        ("DELETE", "/api/tokens/ci-bot"),
    ):
        assert ask(method, path, None if method == "GET" else {}, **bearer(first)).status_code == 403, (
            "not even its own"
        )
    assert ask("POST", "/api/tokens", {"name": "ci-bot", "scope": "read"}).json["code"] == "token_exists"
    assert ask("POST", "/api/tokens", {"name": "default", "scope": "read"}).json["code"] == "token_exists"
    assert ask("POST", "/api/tokens", {"name": "a/b", "scope": "read"}).status_code == 400

    listed = ask("GET", "/api/tokens")
    assert [(one["name"], one["scope"], one["rotatedAt"]) for one in listed.json["tokens"]] == [
        ("ci-bot", "chat", None)
    ]
    assert first not in listed.text

    second = ask("POST", "/api/tokens/ci-bot/rotate", {}).json["secret"]
    assert [ask("GET", "/api/sessions", **bearer(token)).status_code for token in (first, second)] == [401, 200]
    assert ask("DELETE", "/api/tokens/ci-bot", {}).json["token"]["name"] == "ci-bot"
    assert ask("GET", "/api/sessions", **bearer(second)).status_code == 401
    for method, path in (("DELETE", "/api/tokens/ci-bot"), ("POST", "/api/tokens/default/rotate")):
        assert ask(method, path, {}).json["code"] == "token_not_found"
