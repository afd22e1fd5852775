"""The cookie of a browser that is signed in, and the proof that a request comes from our own page.

A cookie travels by itself, so it counts only where our own page has asked: what changes something needs the header
`X-Pilotlight` (another origin's script cannot send it without being asked for leave, which it never gets) and the browser's own
word, `Origin` or `Sec-Fetch-Site`. Other pages on the same machine are "same site", so SameSite alone is not enough. The name
has a mark of this home in it: cookies know no ports, and two pilotlights may run on one machine.
"""

from __future__ import annotations

import hashlib

from flask import Response, g, request

from shared.access.devices import LIFE_DAYS, Devices
from shared.access.tokens import Identity
from shared.errors import Forbidden
from shared.paths import Paths

HEADER = "X-Pilotlight"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(paths: Paths) -> str:
    """The name of this home's cookie."""
    return f"pilotlight-{hashlib.sha256(str(paths.home).encode()).hexdigest()[:8]}"


def identify(name: str, devices: Devices) -> Identity | None:
    """Which device asks, if its cookie counts here. Raise Forbidden when its page is not ours."""
    secret = request.cookies.get(name)
    found = devices.identify(secret) if secret else None
    if found is None:
        return None
    identity, stale = found
    prove_own_page()
    if stale:
        devices.touch(identity)
        g.new_cookie = secret
    return identity


def prove_own_page() -> None:
    """Refuse what another page has a browser ask. Raise Forbidden."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    own = origin is not None and origin.lower().partition("://")[2] == request.headers.get("Host", "").lower()
    if request.method in _READING:
        if (origin is None or own) and site in (None, "same-origin", "none"):
            return
    elif HEADER in request.headers and (own or (origin is None and site == "same-origin")):
        return
    raise Forbidden(
        f"A browser's cookie counts for our own page only: send `{HEADER}: 1` from it, or a token from elsewhere.",
        code="not_our_page",
    )


def give(response: Response, name: str, secret: str) -> None:
    """Have the browser keep it: no script can read it, no other site's page sends it."""
    secure = request.is_secure or request.headers.get("Origin", "").startswith("https://")
    age = LIFE_DAYS * 86_400
    response.set_cookie(name, secret, max_age=age, httponly=True, samesite="Strict", secure=secure, path="/")


def take_back(response: Response, name: str) -> None:
    """Have the browser forget it."""
    response.delete_cookie(name, path="/", httponly=True, samesite="Strict")
