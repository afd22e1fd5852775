"""Pages and files of the dashboard. They need no token: there is nothing in them but the program.

Nothing from elsewhere is loaded, no script and no style stands in a page, and strings never become markup or code
(`require-trusted-types-for`); the one policy, `pilotlight`, lets our own service worker through. The terminal has a page of its
own, because xterm.js writes style elements.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request

from api.auth.guard import public
from api.http.problems import json_response
from api.web import assets
from shared import __version__
from shared.errors import NotFound

routes = Blueprint("web", __name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; img-src 'self' data: blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types pilotlight"
)
POLICY = _POLICY.format(style="")
TERMINAL_POLICY = _POLICY.format(style=" 'unsafe-inline'")
WORKER_POLICY = "default-src 'none'; connect-src 'self'; img-src 'self'"
_FOR_EVER = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    """Give the application the dashboard."""
    app.register_blueprint(routes)


@routes.get("/")
@public
def index() -> Response:
    """The dashboard for a browser; for a program what this is, and where to go."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return _page("index.html", POLICY)
    response = json_response(
        {
            "name": "pilotlight",
            "version": __version__,
            "token": "Send `Authorization: Bearer <token>`; `pilotlight token` prints it.",
            "links": {
                "health": "/health",
                "status": "/api/status",
                "chat": "/api/chat",
                "sessions": "/api/sessions",
                "attention": "/api/attention",
                "events": "/api/events",
                "metrics": "/metrics",
                "settings": "/api/settings",
                "reference": "/api/docs",
                "openapi": "/api/openapi.json",
            },
        }
    )
    response.vary.add("Accept")
    return response


@routes.get("/terminal")
@public
def terminal() -> Response:
    """The page of a terminal; which session's stands behind the `#`."""
    return _page("terminal.html", TERMINAL_POLICY)


@routes.get("/sw.js")
@public
def service_worker() -> Response:
    """What shows the shell when the server is away, and what is pushed."""
    return _page("sw.js", WORKER_POLICY)


@routes.get("/manifest.webmanifest")
@public
def manifest() -> Response:
    """What makes it installable."""
    return _page("manifest.webmanifest", POLICY)


@routes.get("/static/<version>/<path:name>")
@public
def static(version: str, name: str) -> Response:
    """A file of this version."""
    found = assets.asset(name) if version == assets.version() else None
    if found is None:
        raise NotFound("No such file in this version of the dashboard. Load the page again.", code="no_such_asset")
    response = _send(found)
    response.headers["Cache-Control"] = _FOR_EVER
    return response


def _page(name: str, policy: str) -> Response:
    response = _send(assets.page(name))
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept")
    return response


def _send(asset: assets.Asset) -> Response:
    packed = asset.packed if request.accept_encodings["gzip"] > 0 else None
    response = Response(packed or asset.body, content_type=asset.kind)
    if packed is not None:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.vary.add("Accept-Encoding")
    response.set_etag(asset.tag + ("z" if packed is not None else ""))
    response.make_conditional(request)
    return response
