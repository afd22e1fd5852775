"""For whom a gateway asks: a name and a scope, signed with the token that comes along.

A gateway has one token for each node and lets in people of its own. What it forwards says who it was, and the least that
the token and the person may do is what counts. The signature's key is the token itself, so whoever can sign could have asked as
the token anyway: the person only ever takes from what the token may do, and the record names both. What must not regress: a
header without a signature that fits this very request is refused, never ignored and never believed. No clock is in it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from urllib.parse import quote, unquote

from shared.access.tokens import SCOPES, Identity, Scope
from shared.errors import Unauthorized

PERSON_HEADER = "Pilotlight-Person"
EXPECT_HEADER = "Pilotlight-Expect-Node"
"""The id of the node that is meant: another one at the same address does nothing."""

MAX_CHARACTERS = 600


def signed(token: str, person: str, scope: Scope, method: str, path: str) -> str:
    """The header's value; `path` without its query, as the server decodes it."""
    name = quote(person, safe="")[: MAX_CHARACTERS - 100]
    return f"{name};{scope};{_signature(token, name, scope, method, path)}"


def on_behalf(identity: Identity, token: str, header: str, method: str, path: str) -> Identity:
    """Who asks, when the token's owner asks for somebody. Raise Unauthorized when that is not signed by the token."""
    name, scope, signature = (*header.split(";"), "", "", "")[:3]
    wanted = _signature(token, name, scope, method, path)
    fits = len(header) <= MAX_CHARACTERS and hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))
    if not fits or scope not in SCOPES:
        raise Unauthorized(f"{PERSON_HEADER} is not signed with the token of this request.", code="person_not_signed")
    least = min((identity.scope, scope), key=SCOPES.index)
    return replace(identity, scope=least, granted=identity.scope, person=unquote(name))


def _signature(token: str, *parts: str) -> str:
    said = "\n".join(("pilotlight-person-1", *parts)).encode()
    return hmac.new(token.encode(), said, hashlib.sha256).hexdigest()
