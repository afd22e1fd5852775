"""The named tokens of this home, for an administrator's screen: as `pilotlight tokens`. A token is shown once, when it is made.

The default token is not among them: whoever has the machine has it (`pilotlight token`), and nobody else takes it from them.
"""

from __future__ import annotations

import logging
from typing import Annotated

from flask import Blueprint, Response, g
from msgspec import Meta, Struct

from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared.access.tokens import NamedTokens, Scope, TokenRecord
from shared.bus.service_requests import Nothing
from shared.errors import NotFound

routes = Blueprint("tokens", __name__)
_log = logging.getLogger("pilotlight.api")


class NewTokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Its name, and what it may do."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scope: Scope


@routes.get("/api/tokens")
def list_tokens() -> Response:
    """The named tokens, with their scope; never the tokens themselves."""
    return json_response({"success": True, "tokens": [_view(record) for record in _named().records()]})


@routes.post("/api/tokens")
def add_token() -> Response:
    """Make a token. It stands in this answer, and nobody will ever see it again."""
    asked = requests.action(NewTokenRequest, key=False)
    secret = _named().add(asked.name, asked.scope)
    return _made(asked.name, secret, "token_added", 201)


@routes.post("/api/tokens/<id>/rotate")
def rotate_token(id: str) -> Response:
    """Put another token in the place of this one, which counts no more; it stands in this answer only."""
    requests.action(Nothing, key=False)
    return _made(id, _named().rotate(id), "token_rotated", 200)


@routes.delete("/api/tokens/<id>")
def revoke_token(id: str) -> Response:
    """Forget a token: it counts no more, and the devices that came in with it go with it."""
    requests.action(Nothing, key=False)
    record = _record(id)
    _named().revoke(id)
    _tell("token_revoked", id)
    return json_response({"success": True, "token": _view(record)})


def _named() -> NamedTokens:
    return api().keyring.named


def _record(name: str) -> TokenRecord:
    found = next((record for record in _named().records() if record.name == name), None)
    if found is None:
        raise NotFound(f"There is no token {name!r}. `pilotlight tokens list` shows them.", code="token_not_found")
    return found


def _made(name: str, secret: str, event: str, status: int) -> Response:
    _tell(event, name)
    return json_response({"success": True, "token": _view(_record(name)), "secret": secret}, status)


def _view(record: TokenRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "scope": record.scope,
        "createdAt": record.created_at,
        "rotatedAt": record.rotated_at,
    }


def _tell(event: str, name: str) -> None:
    _log.info(event, extra={"fields": {"token": name, "by": g.identity.actor}})
