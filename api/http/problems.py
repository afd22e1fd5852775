"""Every refusal and failure as one JSON shape, whoever raised it; the only place where an error becomes HTTP.

The legacy `{success: false, error}` and RFC 9457's members stand side by side. The content type is application/json,
which legacy clients check, unless the caller prefers application/problem+json. A trace goes to the log without
the exception's text: it may quote what a person wrote.
"""

from __future__ import annotations

import logging
import math
import traceback
from http import HTTPStatus
from typing import Any, cast

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from shared.bus.messages import ErrorBody
from shared.errors import InternalError, PilotlightError

PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER = {429: 5, 503: 1}
_log = logging.getLogger("pilotlight.api")


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON response; `body` may hold msgspec structs."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


def problem(
    status: int, message: str, code: str, *, retryable: bool = False, data: dict[str, Any] | None = None
) -> Response:
    """The response for one error."""
    body = _members(ErrorBody(code=code, message=message, status=status, retryable=retryable, data=data or {}))
    if g.get("request_id"):
        body["requestId"] = g.request_id
    return respond(status, body)


def respond(status: int, body: dict[str, Any]) -> Response:
    """A refusal as a response, with the headers that belong to its status."""
    response = json_response(body, status)
    data = body.get("data") or {}
    if request.accept_mimetypes.best_match(["application/json", PROBLEM_JSON]) == PROBLEM_JSON:
        response.content_type = PROBLEM_JSON
    if status in _RETRY_AFTER:
        response.headers["Retry-After"] = str(_seconds(data.get("retryAfter"), _RETRY_AFTER[status]))
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="pilotlight"'
    if status == 403 and "needed" in data:
        response.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{data["needed"]}"'
    return response


def from_error(error: PilotlightError) -> Response:
    """The response for one of our errors."""
    return problem(error.status, error.message, error.error_code, retryable=error.retryable, data=error.data)


def body_of(error: ErrorBody) -> dict[str, Any]:
    """The body for an error that a message carries; its `status` is one that HTTP knows as an error."""
    return _members(error if 400 <= error.status <= 599 else msgspec.structs.replace(error, status=502))


def _members(error: ErrorBody) -> dict[str, Any]:
    body: dict[str, Any] = {
        "success": False,
        "error": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "type": f"urn:pilotlight:problem:{error.code}",
        "title": _phrase(error.status),
        "status": error.status,
        "detail": error.message,
    }
    if error.data:
        body["data"] = error.data
    return body


def register(app: Flask) -> None:
    """Make every error of this application speak this shape."""
    app.register_error_handler(PilotlightError, from_error)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_bug)


def _from_http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return cast(Response, Response.force_type(error.get_response(), request.environ))
    code = (error.name or "error").lower().replace(" ", "_")
    response = problem(error.code, _sentence(error), code)
    for name, value in error.get_headers(request.environ):
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _sentence(error: HTTPException) -> str:
    if isinstance(error, NotFound):
        return f"There is no {request.path} here. GET /api/docs lists what there is."
    if isinstance(error, MethodNotAllowed):
        return (
            f"{request.method} is not possible on {request.path}; use {', '.join(sorted(error.valid_methods or ()))}."
        )
    if isinstance(error, RequestEntityTooLarge):
        return "The request body is too large. Send fewer or smaller attachments."
    return error.description or error.name


def _from_bug(error: Exception) -> Response:
    _log.error(
        "unexpected_error",
        extra={
            "fields": {
                "error": type(error).__name__,
                "method": request.method,
                "route": str(request.url_rule),
                "trace": "".join(traceback.format_tb(error.__traceback__)),
            }
        },
    )
    return from_error(InternalError("Something went wrong inside pilotlight. The log of the API has the trace."))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _seconds(value: Any, default: int) -> int:
    return max(1, math.ceil(value)) if isinstance(value, int | float) and math.isfinite(value) else default
