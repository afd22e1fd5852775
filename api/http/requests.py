"""What came in, as typed values: bodies, query strings, ids, idempotency keys; the rest is a 400 that names the field.

The legacy calls tolerate fields that we do not know, because their clients send some; ours refuse them, because a
misspelt field that is silently ignored is a bug report two weeks later. Each request is a msgspec struct, so that the
OpenAPI document can be made from the same types.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import uuid
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import msgspec
from flask import g, request
from msgspec import Meta

from shared.bus.messages import MAX_ATTACHMENT_BYTES, MAX_MESSAGE_BYTES, Attachment
from shared.errors import InvalidRequest, NotFound, TooLarge

MAX_WAIT_SECONDS = 3600.0
MAX_ID_LENGTH = 200
MAX_DEPTH = 100
"""How deep a body may be nested. Python's own limit is near 1000, and further in it would be met again: as a bug of ours."""

PageCursor = Annotated[str, Meta(pattern=r"^-?[0-9]{1,18}\.[0-9A-Za-z_-]{0,100}$")]
"""The `next` of a page of a list."""

T = TypeVar("T")
_SESSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MESSAGE_ID = re.compile(r"m_[0-9A-Za-z_-]{1,64}")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_ID_LENGTH}}}")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`")


def json_object(*, required: bool = True) -> dict[str, Any]:
    """The body as a JSON object; without a body an empty one, unless it is required."""
    _name_request()
    raw = request.get_data(cache=False).removeprefix(codecs.BOM_UTF8)
    if not raw:
        if required:
            raise InvalidRequest("A JSON object is needed as the body of this request.", code="missing_body")
        return {}
    try:
        tree = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="malformed_json") from None
    except RecursionError:
        raise _too_deep() from None
    if _deeper(tree, MAX_DEPTH):
        raise _too_deep()
    if not isinstance(tree, dict):
        raise InvalidRequest("The body must be a JSON object, such as {}.", code="malformed_json")
    return tree


def fit(kind: type[T], tree: Any, *, strict: bool = True) -> T:
    """The typed value of a plain tree. Raise InvalidRequest that names the field."""
    try:
        return msgspec.convert(tree, kind, strict=strict)
    except msgspec.ValidationError as error:
        message, name = _explain(str(error))
        raise InvalidRequest(message, code="invalid_field", data={"field": name}) from None


def query(kind: type[T]) -> T:
    """The query string as a struct with camelCase names; numbers and booleans are read from their text."""
    return fit(kind, query_values(), strict=False)


def query_values() -> dict[str, str]:
    """The query string as it came. What is said twice is refused: the second was not looked at, and nobody was told."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise invalid(name, f"Send `{name}` once.")
    return request.args.to_dict()


def action(kind: type[T], *, key: bool = True, **fixed: Any) -> T:
    """The body of one of our acting calls as the bus's own struct, with what the path fixes and the idempotency key."""
    tree = json_object(required=False)
    request_id = idempotency_key(tree.pop("requestId", None))
    if key:
        fixed["key"] = request_id
    for name in fixed:
        if name in tree:
            raise invalid(name, f"`{name}` is not a field of this request.")
    return fit(kind, {**tree, **fixed})


def invalid(name: str, message: str) -> InvalidRequest:
    """A refusal that names the field."""
    return InvalidRequest(message, code="invalid_field", data={"field": name})


def idempotency_key(in_body: Any = None) -> str:
    """The caller's key, or a new one, so that a repeat on the bus is harmless in any case; echoed as `requestId`.

    `Idempotency-Key` goes before `X-Request-Id`, which a proxy may have added, and both before the body's `requestId`.
    """
    given = (
        ("Idempotency-Key", request.headers.get("Idempotency-Key")),
        ("X-Request-Id", request.headers.get("X-Request-Id")),
        ("requestId", in_body),
    )
    for name, value in given:
        if value is not None and not (isinstance(value, str) and _KEY.fullmatch(value)):
            raise invalid(name, f"{name} must be 1 to {MAX_ID_LENGTH} printable ASCII characters without spaces.")
    key: str = next((value for _, value in given if value is not None), uuid.uuid4().hex)
    g.request_id = key
    return key


def _name_request() -> None:
    """So that the refusal of a body that cannot be read says, too, which request it refuses."""
    for name in ("Idempotency-Key", "X-Request-Id"):
        if _KEY.fullmatch(request.headers.get(name, "")):
            g.request_id = request.headers[name]
            return


def session_id(text: str, message: str = "Session not found.") -> str:
    """A session id in its one spelling (iOS writes UUIDs in capitals). Raise NotFound when it cannot be one."""
    if not _SESSION_ID.fullmatch(text.lower()):
        raise NotFound(message, code="session_not_found")
    return text.lower()


def conversation_id(text: str) -> str:
    """The id of a conversation of Claude's, as a session's is spelled. Raise NotFound when it cannot be one."""
    if not _SESSION_ID.fullmatch(text.lower()):
        raise NotFound("Conversation not found.", code="conversation_not_found")
    return text.lower()


def message_id(text: str) -> str:
    """A message id. Raise NotFound when it cannot be one."""
    if not _MESSAGE_ID.fullmatch(text):
        raise NotFound("Message not found.", code="message_not_found")
    return text


def chat_text(text: str | None) -> str:
    """A prompt that is there and not over the limit."""
    if text is None or not text.strip():
        raise invalid("message", "`message` is required: send the text for Claude.")
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"`message` is over {MAX_MESSAGE_BYTES // 1000} kB. Send the long part as an attachment.",
            code="message_too_large",
            data={"field": "message", "limit": MAX_MESSAGE_BYTES},
        )
    return text


def page_limit(limit: int | None) -> int | None:
    """How many a page may have at most; None: all there are."""
    if limit is not None and not 1 <= limit <= 1000:
        raise invalid("limit", "`limit` must be between 1 and 1000.")
    return limit


def not_blank(name: str, value: str | None) -> str | None:
    """An optional text that, when given, must say something."""
    if value is not None and not value.strip():
        raise invalid(name, f"`{name}` must not be blank; leave it out instead.")
    return value


def wait_seconds(value: float | None, default: float) -> float:
    """How long to hold the request, in seconds."""
    if value is None:
        return default
    if not 0 <= value <= MAX_WAIT_SECONDS:
        raise invalid("wait", f"`wait` must be between 0 and {MAX_WAIT_SECONDS:g} seconds.")
    return value


def attachments(items: list[Attachment] | None) -> list[Attachment]:
    """Attachments with clean base64, each within the limit."""
    return [_attachment(f"attachments[{index}]", item) for index, item in enumerate(items or [])]


def _attachment(name: str, item: Attachment) -> Attachment:
    if not item.name.strip():
        raise invalid(f"{name}.name", f"`{name}.name` must not be blank.")
    data = "".join(item.data.split())
    size = len(data) * 3 // 4 - data[-2:].count("=")
    if size > MAX_ATTACHMENT_BYTES:
        raise TooLarge(
            f"`{name}` is over {MAX_ATTACHMENT_BYTES // 1024 // 1024} MB.",
            code="attachment_too_large",
            data={"field": name, "limit": MAX_ATTACHMENT_BYTES},
        )
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{name}.data", f"`{name}.data` is not valid base64.") from None
    # What the client says about the size tells the supervisor whether the file was cut on its way.
    return msgspec.structs.replace(item, data=data, size=size if item.size is None else item.size)


def _too_deep() -> InvalidRequest:
    return InvalidRequest("The body is nested too deeply.", code="malformed_json")


def _deeper(tree: Any, limit: int) -> bool:
    """Whether anything in it lies more than `limit` levels down."""
    level = [tree]
    for _ in range(limit):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _explain(problem: str) -> tuple[str, str]:
    """A sentence and the field's name, from msgspec's `Expected ..., got ... - at `$.path``."""
    match = _AT.match(problem)
    what, path = (match["what"], match["path"] or "") if match else (problem, "")
    if field := _MISSING.fullmatch(what):
        name = f"{path}.{field['name']}" if path else field["name"]
        missing = field["how"].startswith("missing")
        return (f"`{name}` is required." if missing else f"`{name}` is not a field of this request."), name
    name = path or "body"
    return f"`{name}` does not fit: {what[:1].lower()}{what[1:]}.", name
