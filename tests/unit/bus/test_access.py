"""What a bus key may do: by operation, and by what is asked for beside."""

from __future__ import annotations

from typing import Any

import pytest

from shared.access.bus_keys import BusClientKey
from shared.access.tokens import SCOPES, Scope, powerful
from shared.bus.messages import VERSION, Request
from shared.bus.operations import OPERATIONS, with_effect
from shared.bus.operations import needed as needed_for
from shared.errors import Forbidden
from supervisor.bus.access import OF_RECIPIENTS, permit


def request(op: str, **args: Any) -> Request:
    return Request(v=VERSION, id="a", op=op, args=args)


def needed(request: Request) -> Scope:
    return needed_for(request.op, request.args)


def owner(scope: Scope) -> BusClientKey:
    return BusClientKey(name="n", scope=scope, public_key="k" * 40, created_at=0)


@pytest.mark.parametrize(
    ("op", "args", "scope"),
    [
        ("session.list", {}, "read"),
        ("message.send", {"text": "x"}, "chat"),
        ("message.send", {"text": "x", "trust": True}, "answer"),
        ("message.send", {"text": "x", "trust": False}, "chat"),
        ("message.send", {"text": "x", "permissionMode": "plan"}, "chat"),
        ("message.send", {"text": "x", "permissionMode": "bypassPermissions", "trust": True}, "admin"),
        ("session.create", {"projectPath": "/p", "resume": "c"}, "admin"),
        ("session.create", {"projectPath": "/p", "addDirs": ["/"]}, "admin"),
        ("session.create", {"projectPath": "/p", "addDirs": []}, "chat"),
        ("session.create", {"projectPath": "/p", "permissionMode": None, "mcpConfig": None}, "chat"),
        ("session.create", {"projectPath": "/p", "mcpConfig": {}}, "admin"),
        ("session.update", {"sessionId": "s", "title": "T", "model": "m", "effort": None}, "chat"),
        ("session.update", {"sessionId": "s", "permissionMode": None}, "admin"),
        ("session.update", {"sessionId": "s", "permissionMode": "plan"}, "admin"),
        ("session.recording", {"sessionId": "s"}, "read"),
        ("recipient.add", {"kind": "webpush", "name": "n", "target": {}}, "read"),
        ("recipient.add", {"kind": "webhook", "name": "n", "target": {}}, "admin"),
        ("recipient.remove", {"recipientId": "d"}, "chat"),
        ("notification.link", {"token": "t"}, "answer"),
        ("session.recording", {"sessionId": "s", "start": False}, "admin"),
        ("session.answer", {"sessionId": "s"}, "answer"),
        ("session.keys", {"sessionId": "s"}, "admin"),
        ("made.up", {}, "admin"),
    ],
)
def test_what_is_needed(op: str, args: dict[str, Any], scope: Scope) -> None:
    assert needed(request(op, **args)) == scope
    for have in SCOPES:
        if SCOPES.index(have) >= SCOPES.index(scope):
            assert permit(request(op, **args), owner(have)).op == op
        else:
            with pytest.raises(Forbidden) as refused:
                permit(request(op, **args), owner(have))
            assert refused.value.data == {"needed": scope, "scope": have}


def test_below_admin_a_recipient_is_for_whoever_has_registered_it() -> None:
    for op in OF_RECIPIENTS:
        args = {"recipientId": "d", "own": False}
        assert permit(request(op, **args), owner("answer")).args["own"] is True
        assert permit(request(op, **args), owner("admin")).args["own"] is False
    mine = {op for op, kind in OPERATIONS.items() if "own" in kind.arguments.__struct_fields__}
    assert mine == OF_RECIPIENTS


def test_nothing_is_much_where_a_session_is_changed() -> None:
    nothing = {"permissionMode": None, "addDirs": [], "mcpConfig": None, "appendSystemPrompt": None}
    for name, value in nothing.items():
        assert powerful({name: value}, changing=True)
    assert not powerful(nothing)
    assert not powerful({"title": "T", "model": None}, changing=True)


def test_only_administrators_search_what_was_said_elsewhere() -> None:
    asked = request("search", query="x")
    assert permit(asked, owner("read")).args == {"query": "x", "everywhere": False}
    assert permit(asked, owner("admin")).args == {"query": "x"}


OF_TALKING = {"conversations.list", "conversation.history", "draft.get", "draft.set", "folders.list"}
"""What changes nothing of a session's and is still not for those who may only read."""


def test_whoever_may_only_look_cannot_act() -> None:
    acts = [
        op for op in ("session.kill", "message.send", "settings.patch", "shutdown") if needed(request(op)) == "read"
    ]
    assert acts == []
    assert {op for op in with_effect("looks") if needed(request(op)) != "read"} == OF_TALKING
