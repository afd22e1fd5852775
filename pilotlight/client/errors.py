"""What a call can raise.

    ClientError
    ├── Unreachable          nobody answered for as long as the client was patient
    └── Refused              the API answered with an error
        ├── InvalidRequest   400, 413, 415
        ├── Unauthorized     401
        ├── Forbidden        403
        ├── NotFound         404
        ├── Conflict         409
        ├── Busy             429
        └── Unavailable      502, 503, 504, 507

`code` is stable and for programs; the text is a sentence that says what to do.
"""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """Base of all."""


class Unreachable(ClientError):
    """Nobody answered."""


class Refused(ClientError):
    """The API said no."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("error") or f"HTTP {status}"))
        self.status = status
        self.code = str(body.get("code") or "error")
        self.retryable = bool(body.get("retryable"))
        self.data: dict[str, Any] = body.get("data") or {}
        self.body = body
        """All that was said: of a message that failed also its id and state."""


class InvalidRequest(Refused):
    """The caller can mend it."""


class Unauthorized(Refused):
    """No token, or one that counts no more."""


class Forbidden(Refused):
    """The token may not do this."""


class NotFound(Refused):
    """No such session or message."""


class Conflict(Refused):
    """Not in this state; somebody else was first."""


class Busy(Refused):
    """A limit is reached: later."""


class Unavailable(Refused):
    """A part of pilotlight, or Claude, could not do it now."""


_KINDS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: Unavailable,
}


def refused(status: int, body: dict[str, Any]) -> Refused:
    """The error for an answer."""
    return _KINDS.get(status, Refused)(status, body)
