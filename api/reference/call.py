"""What a call of this API is: one row of the table in `calls`, and what many rows have in common.

What must not regress: a row says all of a call, so that the guard, the document and the gateway need nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import asciicast
from shared.access.tokens import Scope
from shared.bus import session_requests

TEXT = "text/plain; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"
HTML = "text/html; charset=utf-8"
MARKDOWN = "text/markdown; charset=utf-8"
JSON = "application/json"
CAST = asciicast.MEDIA_TYPE
BYTES = "application/octet-stream"
ID = "123e4567-e89b-42d3-a456-426614174000"
MESSAGE_ID = "m_4c039b79f8ee45cfbb8296d2ef93e0de"


@dataclass(frozen=True)
class Body:
    """A request body: its type (None: any object), without what the path says and what a header carries.

    `name`: in the document, where it is not the type's. `need`: always there. `one_of`: at least one of them, and not null unless
    `null_counts`; only one if `exclusive`.
    """

    kind: type[Any] | None
    example: Mapping[str, Any]
    drop: tuple[str, ...] = ("sessionId", "key")
    need: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    null_counts: bool = False
    exclusive: bool = False
    optional: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Call:
    """One call. `scope` None: no token needed. `answers` maps a status to a shape, or to the type of what is no JSON."""

    method: str
    path: str
    scope: Scope | None
    answers: Mapping[int, type[Any] | str]
    tag: str
    query: type[Any] | None = None
    body: Body | None = None
    errors: tuple[int, ...] = ()
    streams: bool = False

    @property
    def acts(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"


FATE = (404, 409, 502, 504, 507)
ACT = (404, 409, 504, 507)
EMPTY = Body(session_requests.SessionRef, {}, optional=True, name="EmptyRequest")
