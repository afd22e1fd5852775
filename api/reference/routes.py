"""The description of this API, for programs and for people. Neither needs a token: a browser cannot send one when a person
opens a page, and there is no secret in it.
"""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, current_app

from api.auth.guard import public
from api.http.problems import json_response

routes = Blueprint("reference", __name__)


@routes.get("/api/openapi.json")
@public
def openapi() -> Response:
    """This API as an OpenAPI 3.1 document."""
    return json_response(_document())


@routes.get("/api/docs")
@public
def docs() -> Response:
    """The same as a page to read."""
    from api.reference import page  # made once, for the first reader

    html, policy = page.render(_document())
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    return response


def _document() -> dict[str, Any]:
    kept = current_app.extensions
    if "pilotlight.openapi" not in kept:
        from api.reference import openapi as generator

        kept["pilotlight.openapi"] = generator.document(current_app._get_current_object())  # type: ignore[attr-defined]
    return cast(dict[str, Any], kept["pilotlight.openapi"])
