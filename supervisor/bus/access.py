"""What the owner of a bus key may do: the scopes of the HTTP API, for operations (`shared.bus.operations` says which).

They do not bind who connects on this machine: the run directory is private, and its owner may do everything. An operation
that is not listed needs `admin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.access.bus_keys import BusClientKey
from shared.access.tokens import allows, require
from shared.bus.messages import Request
from shared.bus.operations import OPERATIONS, needed
from shared.errors import Forbidden

LOCAL = frozenset(name for name, operation in OPERATIONS.items() if operation.scope is None)
"""For our own API, which says who it is that asks: nobody else may."""


OF_RECIPIENTS = frozenset(
    {"recipient.update", "recipient.remove", "recipient.test", "recipient.presence", "notification.receipt"}
)
"""What only the owner of a recipient does to it, or an administrator."""


def permit(request: Request, client: BusClientKey) -> Request:
    """The request as this client may make it. Raise Forbidden."""
    if request.op in LOCAL:
        raise Forbidden(f"`{request.op}` is for pilotlight's own processes.", code="local_only")
    scope = needed(request.op, request.args)
    what = f"`{request.op}` with these arguments needs a key with the scope `{scope}`; `{client.name}` has"
    require(client.scope, scope, what, "pilotlight bus-keys add")
    if request.op == "search" and not allows(client.scope, "admin"):
        return _with(request, everywhere=False)
    if request.op in OF_RECIPIENTS and not allows(client.scope, "admin"):
        return _with(request, own=True)
    if request.op == "message.send" and not allows(client.scope, "answer"):
        return _with(request, confined=True)
    return request


def _with(request: Request, **more: bool) -> Request:
    here: Mapping[str, Any] = {**request.args, **more}
    return msgspec.structs.replace(request, args=dict(here))
