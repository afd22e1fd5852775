"""The OpenAPI 3.1 document, from the table of calls, the types of the wire and the docstrings of the routes.

msgspec gives JSON Schema 2020-12, which is what OpenAPI 3.1 is made of, so this is a matter of putting things together.
The schemas themselves are in `schemas`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask

from api.http.forms import FORM
from api.reference import descriptions, examples, message_shapes, shapes
from api.reference.call import BYTES, EVENTS, ID, MESSAGE_ID, Call
from api.reference.calls import CALLS
from api.reference.portable import portable
from api.reference.schemas import ATTACHMENT, HINTS, KEY, PLACE, REF, Schemas, describe, tell_defaults, without_null
from api.terminals import messages
from shared import __version__
from shared.bus.messages import MAX_ATTACHMENTS, Attachment, Event
from shared.node import EPOCH_HEADER, NODE_HEADER

_IDS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "/api/messages": ({"type": "string", "pattern": r"^m_[0-9A-Za-z_-]{1,64}$"}, MESSAGE_ID),
    "/api/rules": ({"type": "string", "pattern": r"^r_[0-9a-f]{8}$"}, "r_5f2c9a01"),
    "/api/devices": ({"type": "string", "pattern": r"^[0-9a-f]{8}$"}, "5f2c9a01"),
    "/api/tokens": ({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}, "ci-bot"),
}
"""What the id in a path looks like, where it is not a session's."""

ERRORS: Mapping[int, tuple[str, str, bool]] = {
    400: ("invalid_field", "`wait` must be between 0 and 3600 seconds.", False),
    401: ("unauthorized", "A valid token is needed: send `Authorization: Bearer <token>`.", False),
    403: ("insufficient_scope", "This needs a token with the scope `chat`; `dashboard` has `read`.", False),
    404: ("session_not_found", "Session not found.", False),
    408: ("body_too_slow", "The body of this request came too slowly. Send it again.", True),
    409: ("conflict", "This session waits for nothing: somebody else was first.", False),
    413: ("message_too_large", "`message` is over 100 kB. Send the long part as an attachment.", False),
    415: ("unsupported_media_type", "Send the body as JSON, with `Content-Type: application/json`.", False),
    421: ("misdirected", "Another node is meant than the one at this address. Look its address up again.", True),
    426: ("upgrade_required", "This is a WebSocket (version 13): open it as one.", False),
    429: ("rate_limited", "This token has made 600 calls within a minute (api.rate_per_minute). Slow down.", True),
    500: ("internal_error", "Something went wrong inside pilotlight. The log of the API has the trace.", False),
    502: ("message_failed", "Claude could not answer this message.", False),
    503: ("unavailable", "The supervisor did not answer in time. `pilotlight up` starts it.", True),
    504: ("deadline_exceeded", "No answer in time; what was accepted goes on.", True),
    507: ("storage_failed", "The disk is full.", True),
}

_MEDIA: Mapping[str, Mapping[str, Any]] = {
    "application/json": {"type": "object"},
}
_TAGS = {
    "Messages": "Talking to Claude.",
    "Sessions": "Conversations: one living process each.",
    "Events": "What happens, as it happens: Server-Sent Events under gapless ids.",
    "Terminal": "The screen and the keyboard.",
    "Notifications": "Who is told what, what was told, and answers from a notification.",
    "Legacy": "The calls that existing clients were written against.",
    "Devices": "Who else may come in: browsers that are signed in (a cookie instead of a token), and named tokens.",
    "Service": "This service itself.",
}


def document(app: Flask) -> dict[str, Any]:
    """The document of this application."""
    views = {
        (method, rule.rule): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    schemas = Schemas()
    schemas.ref(Attachment)
    schemas.components["Attachment"]["properties"].update(ATTACHMENT)
    paths: dict[str, Any] = {}
    for call in CALLS:
        path = re.sub(r"<(\w+)>", r"{\1}", call.path)
        paths.setdefault(path, {})[call.method.lower()] = _operation(call, views[call.method, call.path], schemas)
    for name, schema in schemas.components.items():
        describe(name, schema)
        if name in schemas.sent:
            tell_defaults(schema)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "pilotlight",
            "version": __version__,
            "description": "Keeps interactive Claude Code sessions alive and reachable. Times are milliseconds since the "
            "epoch, waits are seconds. Scopes: read < chat < answer < admin.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {f"Error{status}": _error(status, *said) for status, said in ERRORS.items()},
            "headers": {
                NODE_HEADER: {"schema": {"type": "string"}, "description": "The id of the pilotlight that answers."},
                EPOCH_HEADER: {"schema": {"type": "string"}, "description": "The epoch of its journal of events."},
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`pilotlight token` prints the default one; `pilotlight tokens add` makes more.",
                }
            },
        },
    }
    return {name: portable(part) for name, part in made.items()}


_NODE_HEADERS = {name: {"$ref": f"#/components/headers/{name}"} for name in (NODE_HEADER, EPOCH_HEADER)}


def _operation(call: Call, view: Callable[..., Any], schemas: Schemas) -> dict[str, Any]:
    summary, _, rest = (view.__doc__ or "").strip().partition("\n")
    needs = "No token needed." if call.scope is None else f"Scope: `{call.scope}`."
    text = " ".join(rest.split())
    operation: dict[str, Any] = {
        "operationId": view.__name__ if view.__name__ != "index" else "index",
        "summary": summary,
        "description": f"{text} {needs}".strip(),
        "tags": [call.tag],
        "parameters": _parameters(call, schemas),
        "responses": _responses(call, schemas),
        "security": [] if call.scope is None else [{"token": []}],
        "x-scope": call.scope,
    }
    if call.body is not None:
        body = schemas.body(call.body)
        content = {"application/json": {"schema": body, "example": dict(call.body.example)}}
        if getattr(view, "multipart", False):
            content[FORM] = {"schema": schemas.form(body), "example": {**call.body.example, "file": ["notes.txt"]}}
            operation["description"] += " Also as `multipart/form-data`: the same fields, and files as attachments."
        operation["requestBody"] = {"required": not call.body.optional, "content": content}
    if getattr(view, "file", False):
        content = {BYTES: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    if call.streams and call.acts:
        # Not among the answers: a generator would make one type of them, of which each client gets one half.
        operation["x-event-stream"] = {
            "accept": EVENTS.partition(";")[0],
            "event": _streamed(schemas),
            "done": schemas.ref(message_shapes.StreamEnd),
            "example": examples.SENT_STREAM,
        }
    if 101 in call.answers:
        operation["x-websocket"] = {
            "received": [schemas.ref(word) for word in messages.RECEIVED],
            "sent": [schemas.ref(word) for word in messages.SENT],
            "closes": {str(code): text for code, text in messages.CLOSES.items()},
        }
    return operation


def _named(path: str) -> str:
    """What the id in this path is one of."""
    kinds = {
        "/api/messages": "message",
        "/api/devices": "device",
        "/api/recipients": "recipient",
        "/api/conversations": "conversation",
    }
    return next((kind for start, kind in kinds.items() if path.startswith(start)), "session")


def _parameters(call: Call, schemas: Schemas) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "<token>" in call.path:
        text = "What the link ends with."
        found.append(
            {
                "name": "token",
                "in": "path",
                "required": True,
                "schema": KEY,
                "example": "zaxsFVcU5IXv",
                "description": text,
            }
        )
    if "<id>" in call.path:
        schema, example = next(
            (said for prefix, said in _IDS.items() if call.path.startswith(prefix)), (HINTS["sessionId"], ID)
        )
        text = f"The id of the {_named(call.path)}."
        found.append(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": dict(schema),
                "example": example,
                "description": text,
            }
        )
    if "<number>" in call.path:
        schema = {"type": "integer", "minimum": 0, "maximum": MAX_ATTACHMENTS - 1}
        more = {"example": 0, "description": "Which of its files, counted from 0."}
        found.append({"name": "number", "in": "path", "required": True, "schema": schema, **more})
    if call.query is not None:
        query = schemas.plain(call.query)
        needed = query.get("required", [])
        for name, schema in query["properties"].items():
            said = dict(HINTS[name]) if name in HINTS and "enum" not in schema else without_null(schema)
            if schema.get("default", 0) is None:
                said.pop("default", None)
            meaning = descriptions.parameter(f"{call.method} {call.path.replace('<id>', '{id}')}", name)
            more = {} if meaning is None else {"description": meaning}
            found.append({"name": name, "in": "query", "required": name in needed, "schema": said, **more})
    if call.acts and call.path != "/api/settings":
        text = (
            "Makes a repeat of this request harmless. `X-Request-Id` does the same. It counts for one call on one session; with "
            "another body it is refused (409 `key_reused`)."
        )
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": KEY, "description": text})
    if call.streams:
        text = "The id of the last event that was received: go on behind it."
        found.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": PLACE, "description": text})
    return found


def _responses(call: Call, schemas: Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in call.answers.items():
        text = HTTPStatus(status).phrase
        if isinstance(kind, str):
            media = kind.partition(";")[0]
            event = _streamed(schemas) if call.streams else None
            content: dict[str, Any] = {"schema": event or _MEDIA.get(media, {"type": "string"})}
            if media in examples.OTHERS:
                content["example"] = examples.OTHERS[media]
            found[str(status)] = {"description": text, "content": {media: content}}
        else:
            doc = (kind.__doc__ or text).strip()
            content = {"schema": schemas.ref(kind), "example": examples.answer(kind, status)}
            found[str(status)] = {"description": doc, "content": {"application/json": content}}
    if call.path.endswith("/screen"):
        for media in ("text/plain", "text/html"):
            found["200"]["content"][media] = {"schema": {"type": "string"}}
    if call.path.endswith("/export"):
        found["200"]["content"]["application/json"] = {"schema": {"type": "object"}}
    schemas.ref(shapes.Problem)
    for status in sorted({*call.errors, *_usual(call)} - set(call.answers)):
        found[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    for response in found.values():
        if "$ref" not in response:
            response["headers"] = dict(_NODE_HEADERS)
    return found


def _streamed(schemas: Schemas) -> dict[str, Any]:
    """The fields of one event of a stream, as its reader finds them."""
    schemas.ref(shapes.StreamedEvent)
    kinds = [schemas.ref(Event), schemas.ref(shapes.EventGap)]
    data = schemas.components["StreamedEvent"]["properties"]["data"]
    data |= {"contentMediaType": "application/json", "contentSchema": {"anyOf": kinds}}
    return schemas.ref(shapes.StreamedEvent)


def _usual(call: Call) -> set[int]:
    """What can happen to any call of its kind."""
    usual = {403, 415, 500, 503}
    if call.scope is not None:
        usual |= {401, 504}
    if call.query is not None or call.streams:
        usual |= {400}
    if call.acts:
        usual |= {400, 408, 413, 429}
    return usual


def _error(status: int, code: str, message: str, retryable: bool) -> dict[str, Any]:
    example = {
        "success": False,
        "error": message,
        "code": code,
        "retryable": retryable,
        "type": f"urn:pilotlight:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
    }
    schema = {"$ref": REF.format(name="Problem")}
    media = {"schema": schema, "example": example}
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": media, "application/problem+json": media},
    }
    response["headers"] = dict(_NODE_HEADERS)
    if status in (429, 503):
        response["headers"]["Retry-After"] = {"schema": {"type": "string"}, "description": "Seconds."}
    return response
