"""Every call of this API in one table: what it takes, what it answers, and which scope it needs.

The rows are in `service_calls`, `message_calls` and `session_calls`. The guard (`api/auth/guard.py`) and the OpenAPI document
(`api/reference/openapi.py`) are made from the table. A route that is missing there needs the scope `admin`, and a test fails.

    read    look: sessions, messages, events, screens, metrics, settings
    chat    talk: send and cancel messages, open, wake and extend sessions, interrupt
    answer  decide for Claude: permissions, questions, plans, trust
    admin   everything else: end sessions, press keys, change settings and permission modes

What a call needs is what its operations need (`shared/bus/operations.py`), also for what is asked for beside; a test holds the
two together.
"""

from __future__ import annotations

from api.reference.call import Call
from api.reference.message_calls import MESSAGE_CALLS
from api.reference.service_calls import SERVICE_CALLS
from api.reference.session_calls import SESSION_CALLS
from shared.access.tokens import Scope

CALLS: tuple[Call, ...] = (*SERVICE_CALLS, *MESSAGE_CALLS, *SESSION_CALLS)


def scopes() -> dict[tuple[str, str], Scope]:
    """What (method, rule) needs; calls without a token are not in it."""
    return {(call.method, call.path): call.scope for call in CALLS if call.scope is not None}
