"""Who may do what: every route of the OpenAPI document and every operation of the bus, with every token and every key, and
that both doors let in the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.reference import calls
from api.reference.call import ID, MESSAGE_ID, Call
from shared.access.bus_keys import BusClientKey
from shared.access.tokens import POWERFUL, SCOPES, NamedTokens, Scope, allows
from shared.bus.messages import VERSION, Request
from shared.bus.operations import OPERATIONS, needed
from shared.errors import Forbidden
from supervisor.bus.access import permit
from tests.api_caller import Caller
from tests.unit.api.test_openapi import furnished
from tests.unit.bus import every_operation

BESIDE: tuple[dict[str, Any], ...] = (
    {},
    {"trust": True},
    {"trust": False},
    {"title": "T", "model": "m", "effort": "low", "autoKeepAlive": True},
    {"interrupt": True, "front": True},
    {"action": "recap"},
    {"mode": "planning"},
    {"start": False},
    *({"permissionMode": mode} for mode in ("plan", "dontAsk", "bypassPermissions")),
    {"mcpConfig": {"mcpServers": {}}},
    {"addDirs": ["/"]},
    {"addDirs": []},
    {"appendSystemPrompt": "s"},
    {"resume": ID},
    *({name: None} for name in sorted(POWERFUL)),
)
"""What can be asked for beside what a call is about. Not every call knows each."""

MORE_THAN_THE_BUS = {"POST /api/tickets": {"mode": "write", "session": ID}}
"""The keyboard of a terminal is no operation: it has a socket of its own on this machine."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def ask(home: Path) -> Caller:
    return Caller(home, furnished(), rate_per_minute=0)


@pytest.fixture(scope="module")
def tokens(home: Path) -> dict[str, str]:
    named = NamedTokens(home / "tokens.json")
    return {scope: named.add(scope, scope) for scope in SCOPES}


@pytest.fixture(scope="module")
def document(home: Path) -> Any:
    return Caller(home, furnished())("GET", "/api/openapi.json", headers={"Authorization": None}).json


def key(scope: Scope) -> BusClientKey:
    return BusClientKey(name="n", scope=scope, public_key="k" * 40, created_at=0)


def on_the_bus(scope: Scope, asked: list[tuple[str, dict[str, Any]]]) -> bool:
    """Whether the owner of a key with this scope is let in with all of these."""
    try:
        for op, args in asked:
            permit(Request(v=VERSION, id="a", op=op, args=args), key(scope))
    except Forbidden:
        return False
    return True


def bodies(call: Call) -> Iterator[dict[str, Any] | None]:
    if call.body is None:
        yield {} if call.method == "PUT" else None
        return
    for beside in BESIDE:
        yield {**call.body.example, **beside}


@pytest.mark.parametrize("call", calls.CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_http_lets_in_whom_the_bus_lets_in(call: Call, ask: Caller, document: Any, tokens: dict[str, str]) -> None:
    path = call.path.replace("<id>", MESSAGE_ID if "/messages/<" in call.path else ID)
    path += "?q=word" if call.path == "/api/search" else ""
    path += f"?move=mv_{'0' * 32}" if call.path.endswith("/bundle") else ""

    def status(token: str | None, body: dict[str, Any] | None) -> int:
        ask.supervisor.calls.clear()
        headers = {"Authorization": f"Bearer {token}" if token else None}
        return ask(call.method, path, body, headers=headers, buffered=True).status_code

    operation = document["paths"][re.sub(r"<(\w+)>", r"{\1}", call.path)][call.method.lower()]
    assert operation["x-scope"] == call.scope
    example = dict(call.body.example) if call.body else None
    for token in (None, "pl_wrong"):
        assert (status(token, example) == 401) is (call.scope is not None)
    if call.scope is None:
        return
    tried = 0
    for body in bodies(call):
        full = status(tokens["admin"], body)
        if full in (400, 413, 422):
            continue  # a field that this call does not know
        assert full not in (401, 403)
        asked = [(op, msgspec.to_builtins(args)) for op, args, _ in ask.supervisor.calls if op != "ping"]
        scope = max((needed(op, args) for op, args in asked), key=SCOPES.index, default=call.scope)
        assert not tried or allows(scope, call.scope), "what is asked for beside never makes it less"
        if not tried and asked:
            assert scope == call.scope, f"{call.method} {call.path} is {asked}"
        tried += 1
        for have in SCOPES:
            let_in = status(tokens[have], body) != 403
            assert let_in is allows(have, scope), (have, body, asked)
            assert not asked or let_in is on_the_bus(have, asked), (have, body, asked)
    assert tried
    if beyond := MORE_THAN_THE_BUS.get(f"{call.method} {call.path}"):
        assert [status(tokens[have], beyond) != 403 for have in SCOPES] == [False, False, False, True]


def test_every_operation_and_scope() -> None:
    for name, operation in OPERATIONS.items():
        for have in SCOPES:
            let_in = operation.scope is not None and allows(have, operation.scope)
            assert on_the_bus(have, [(name, {})]) is let_in, (name, have)
    assert not on_the_bus("answer", [("made.up", {})])


def test_the_table_of_the_documentation_is_the_one_that_counts() -> None:
    text = (Path(__file__).parents[3] / "docs" / "bus.md").read_text()
    told = dict(re.findall(r"^  \| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert list(told) == list(SCOPES)
    for scope, names in told.items():
        assert re.findall(r"`([\w.]+)`", names) == [
            n for n, operation in OPERATIONS.items() if operation.scope == scope
        ]


def test_the_supervisor_answers_what_is_declared_and_nothing_else(tmp_path: Path) -> None:
    assert every_operation.table(tmp_path) == {name: operation.arguments for name, operation in OPERATIONS.items()}
