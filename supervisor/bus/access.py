"""What the owner of a bus key may do: the scopes of the HTTP API, for operations.

They do not bind who connects on this machine: the run directory is private, and its owner may do everything. An operation
that is not listed needs `admin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.access.bus_keys import BusClientKey
from shared.access.tokens import PLAN, Scope, allows, powerful, require
from shared.bus.messages import Request
from shared.errors import Forbidden

_BY_SCOPE: dict[Scope, str] = {
    "read": "ping status health metrics settings.get session.list session.get session.screen session.recording message.get "
    "message.list events.since history export search usage",
    "chat": "session.create session.wake session.reopen session.fork session.interrupt session.keep_alive message.send "
    "message.cancel message.move",
    "answer": "session.answer",
    "admin": "shutdown session.update session.kill session.hibernate session.keys session.resize session.command "
    "conversations.list settings.patch",
}
GRANTS: dict[str, Scope] = {op: scope for scope, ops in _BY_SCOPE.items() for op in ops.split()}


def needed(request: Request) -> Scope:
    """The scope that this request takes, with what it asks for beside."""
    scope = GRANTS.get(request.op, "admin")
    asked = {name: given for name, given in request.args.items() if (name, given) != ("permissionMode", PLAN)}
    if powerful(asked, changing=request.op == "session.update"):
        return "admin"
    for name, given in asked.items():
        if name == "start" and given is not None and request.op == "session.recording":
            return "admin"
        if given and name == "trust" and not allows(scope, "answer"):
            scope = "answer"
    return scope


LOCAL = frozenset({"audit.refused"})
"""For our own API, which says who it is that asks: nobody else may."""


def permit(request: Request, client: BusClientKey) -> Request:
    """The request as this client may make it. Raise Forbidden."""
    if request.op in LOCAL:
        raise Forbidden(f"`{request.op}` is for pilotlight's own processes.", code="local_only")
    scope = needed(request)
    what = f"`{request.op}` with these arguments needs a key with the scope `{scope}`; `{client.name}` has"
    require(client.scope, scope, what, "pilotlight bus-keys add")
    if request.op == "search" and not allows(client.scope, "admin"):
        return _with(request, everywhere=False)
    if request.op == "message.send" and not allows(client.scope, "answer"):
        return _with(request, confined=True)
    return request


def _with(request: Request, **more: bool) -> Request:
    here: Mapping[str, Any] = {**request.args, **more}
    return msgspec.structs.replace(request, args=dict(here))
