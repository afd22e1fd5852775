"""A message as a form with files (`multipart/form-data`), turned into the JSON object that it stands for.

Only the calls that are marked take it, and the guard has checked token and Origin before: a page elsewhere that posts a
form has neither. Fields are the JSON body's own; every file becomes an attachment, whatever its field is called.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import current_app, request
from werkzeug.datastructures import FileStorage

from api.http import requests
from shared.bus.messages import MAX_ATTACHMENT_BYTES
from shared.errors import TooLarge

FORM = "multipart/form-data"
_SPOKEN = frozenset({"message", "text", "sessionId", "projectPath", "title", "deviceToken", "mode", "requestId"})
_Route = TypeVar("_Route", bound=Callable[..., object])


def accepted(route: _Route) -> _Route:
    """Mark a route that takes a form instead of JSON."""
    route.multipart = True  # type: ignore[attr-defined]
    return route


def is_accepted() -> bool:
    """Whether this request is a form, and its route takes one."""
    view = current_app.view_functions.get(request.endpoint or "")
    return request.mimetype == FORM and getattr(view, "multipart", False)


def json_object() -> dict[str, Any]:
    """The body as a JSON object, from JSON or from a form. Raise InvalidRequest or TooLarge."""
    if request.mimetype != FORM:
        return requests.json_object()
    tree: dict[str, Any] = {}
    for name, values in request.form.lists():
        if not name:
            continue  # a part may come with none (werkzeug says None), and then it is no field
        if len(values) > 1 or name == "attachments":
            raise requests.invalid(name, f"Send `{name}` once" + (", as files." if name == "attachments" else "."))
        tree[name] = values[0] if name in _SPOKEN else _value(values[0])
    files = [file for _, several in request.files.lists() for file in several if file.filename]
    if files:
        tree["attachments"] = [_attachment(number, file) for number, file in enumerate(files)]
    return tree


def _value(text: str) -> Any:
    """Numbers and booleans as JSON writes them; anything else, too deep a nesting included, is a text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _attachment(number: int, file: FileStorage) -> dict[str, Any]:
    data = file.stream.read(MAX_ATTACHMENT_BYTES + 1)
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise TooLarge(
            f"File {number + 1} is over {MAX_ATTACHMENT_BYTES // 1024 // 1024} MB.",
            code="attachment_too_large",
            data={"field": f"attachments[{number}]", "limit": MAX_ATTACHMENT_BYTES},
        )
    return {
        "data": base64.b64encode(data).decode(),
        "name": file.filename,
        "mimeType": file.mimetype or None,
        "size": len(data),
    }
