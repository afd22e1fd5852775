"""The one error tree; every process speaks it and each edge maps it exactly once.

    PilotlightError
    ├── InvalidRequest        400  the caller can fix it
    │   └── UnsendableText    400  the text cannot be typed exactly as it is
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    ├── Conflict              409  not in this state
    ├── TooLarge              413
    ├── Misdirected           421  meant for another node
    ├── Busy                  429  come back later
    ├── StartFailed           502  `claude` could not be started, and why
    ├── Unavailable           503  a part of pilotlight is down
    │   ├── StartPostponed    503  `claude` could not be started now, which is tried again
    │   └── StorageFailed     507  the disk or the database refused
    ├── DeadlineExceeded      504
    └── InternalError         500  a bug of ours

`code` is stable and for programs, `message` is a sentence that says what to do, `retryable` says whether the same
request may succeed later. `status` is the HTTP status that the API answers with.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PilotlightError(Exception):
    """Anything that pilotlight refuses or fails to do, in words for the caller."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or type(self).code
        self.data: dict[str, Any] = data or {}


class InvalidRequest(PilotlightError):
    """The request is malformed, or names something that cannot be."""

    code, status = "invalid_request", 400


class UnsendableText(InvalidRequest):
    """The CLI would change this text, or act on it, instead of receiving it as a prompt."""

    code = "unsendable_text"


class Unauthorized(PilotlightError):
    """No token, or a wrong one."""

    code, status = "unauthorized", 401


class Forbidden(PilotlightError):
    """The token, the Host or the Origin may not do this."""

    code, status = "forbidden", 403


class NotFound(PilotlightError):
    """No such session, message or route."""

    code, status = "not_found", 404


class Conflict(PilotlightError):
    """Impossible in the present state; somebody else was first."""

    code, status = "conflict", 409


class TooLarge(PilotlightError):
    """Over one of the size limits."""

    code, status = "too_large", 413


class Misdirected(PilotlightError):
    """This request is meant for another node than the one that it has reached; nothing was done."""

    code, status, retryable = "misdirected", 421, True


class Busy(PilotlightError):
    """A limit is reached; `data["retryAfter"]` says in how many seconds to try again."""

    code, status, retryable = "busy", 429, True


class StartFailed(PilotlightError):
    """`claude` could not be started; the code names the cause (`claude_not_found`, `claude_exited`, ...)."""

    code, status = "start_failed", 502


class Unavailable(PilotlightError):
    """The supervisor, or another part, does not answer."""

    code, status, retryable = "unavailable", 503, True


class StartPostponed(Unavailable):
    """`claude` could not be started for a cause that may pass; the supervisor tries again, and the queue is held."""

    code = "start_postponed"


class StorageFailed(Unavailable):
    """The disk is full or read-only, or the database is locked or damaged."""

    code, status = "storage_failed", 507


class DeadlineExceeded(PilotlightError):
    """No answer before the deadline that the caller gave; what was accepted goes on."""

    code, status, retryable = "deadline_exceeded", 504, True


class InternalError(PilotlightError):
    """A bug in pilotlight; the log has the trace."""

    code = "internal_error"


def _tree(root: type[PilotlightError]) -> list[type[PilotlightError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


BY_STATUS: dict[int, type[PilotlightError]] = {kind.status: kind for kind in reversed(_tree(PilotlightError))}


def from_wire(code: str, message: str, status: int, data: dict[str, Any] | None = None) -> PilotlightError:
    """The error that a bus reply carried, as the class of the same status."""
    return BY_STATUS.get(status, InternalError)(message, code=code, data=data)


ErrorBodyLike = dict[str, Any]
"""An error as it is stored with a message: the fields of `shared.bus.messages.ErrorBody`."""
