"""A file as a body, where a route takes one; and a file of a session's as an answer: a download that no browser takes for a
page of ours.

What must not regress: only what a message owns is read; the type is what its bytes say, and of pictures only, everything else is
bytes; it is never shown as a document (`attachment`, `nosniff`, a policy that lets nothing run).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Response, current_app, request

from shared.bus.messages import MAX_ATTACHMENT_BYTES
from shared.errors import NotFound
from shared.foreign_file import read_foreign

_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))

FILE = "application/octet-stream"
_Route = TypeVar("_Route", bound=Callable[..., object])


def taken(route: _Route) -> _Route:
    """Mark a route that takes a file instead of JSON."""
    route.file = True  # type: ignore[attr-defined]
    return route


def is_taken() -> bool:
    """Whether this request is a file, and its route takes one."""
    view = current_app.view_functions.get(request.endpoint or "")
    return request.mimetype == FILE and getattr(view, "file", False)


def download(views: Sequence[dict[str, Any]], number: int) -> Response:
    """The file at this place of a message's. Raise NotFound."""
    if not 0 <= number < len(views):
        raise NotFound("The message has no such file.", code="attachment_not_found")
    path = Path(str(views[number]["path"]))
    try:
        data = read_foreign(path, MAX_ATTACHMENT_BYTES)
    except OSError as error:
        raise NotFound(
            f"The file is not there any more: {error.strerror or error}.", code="attachment_not_found"
        ) from None
    response = Response(data, content_type=_kind(data))
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.name, safe='')}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response


def _kind(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURES if data.startswith(magic)), "application/octet-stream")
