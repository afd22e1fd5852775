"""Signing a browser in and out. It gets a cookie for a link, a code (`pilotlight open`) or a token, and is listed as a device."""

from __future__ import annotations

import socket
from typing import Any, cast

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from msgspec import Struct

from api.auth import device_cookie
from api.auth.guard import public
from api.auth.rate_limit import Pace
from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared import __version__
from shared.access.devices import DeviceRecord, view
from shared.access.tokens import Identity, Scope, require
from shared.bus.service_requests import Nothing
from shared.errors import NotFound

routes = Blueprint("devices", __name__)

TRIES_PER_MINUTE = 30
_EXTENSION = "pilotlight.sign_in_pace"


class SignInRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `link`, `code` and `token`; `name` is how the device is listed, `scope` less than the token has."""

    link: str | None = None
    code: str | None = None
    token: str | None = None
    name: str | None = None
    scope: Scope | None = None


class InvitationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the new device may do, and how it is listed."""

    scope: Scope = "answer"
    name: str | None = None


def _set_up(state: BlueprintSetupState) -> None:
    state.app.extensions[_EXTENSION] = Pace(TRIES_PER_MINUTE)


routes.record_once(_set_up)


@routes.post("/api/sign-in")
@public
def sign_in() -> Response:
    """Sign this browser in, with what `pilotlight open` printed or with a token; the answer sets a cookie.

    The cookie cannot be read by scripts, counts for 90 days after its last use and for our own page only: what changes
    something needs the header `X-Pilotlight: 1` beside it. `GET /api/devices` lists it.
    """
    device_cookie.prove_own_page()
    cast(Pace, current_app.extensions[_EXTENSION]).take(request.remote_addr or "")
    asked = requests.action(SignInRequest, key=False)
    devices = api().devices
    name = asked.name or _browser(request.headers.get("User-Agent", ""))
    if sum(part is not None for part in (asked.link, asked.code, asked.token)) != 1:
        raise requests.invalid("link", "Send one of `link`, `code` and `token`.")
    if asked.token is not None:
        holder = api().keyring.identify(asked.token.strip())
        if holder is not None and asked.scope is not None:
            require(holder.scope, asked.scope, "This token has the scope", "pilotlight tokens add")
        record, secret = devices.enter(name, asked.token, asked.scope)
    else:
        record, secret = devices.redeem(name, link=asked.link, code=asked.code)
    response = json_response(_me(Identity(record.name, record.scope, record.hash, kind="device"), record), 201)
    device_cookie.give(response, api().cookie, secret)
    return response


@routes.get("/api/me")
def me() -> Response:
    """Who asks, and what it may do."""
    identity: Identity = g.identity
    return json_response(_me(identity, api().devices.of(identity)))


@routes.post("/api/sign-out")
def sign_out() -> Response:
    """Sign this browser out: its cookie counts no more."""
    requests.action(Nothing, key=False)
    devices = api().devices
    record = devices.of(g.identity)
    if record is None:
        raise NotFound("This is a token, not a browser that is signed in.", code="device_not_found")
    devices.revoke(record.id)
    response = json_response({"success": True, "device": view(record)})
    device_cookie.take_back(response, api().cookie)
    return response


@routes.get("/api/devices")
def list_devices() -> Response:
    """The browsers that are signed in, with their scope and last use."""
    here = api()
    current = here.devices.of(g.identity)
    found = [view(record) for record in here.devices.records()]
    return json_response({"success": True, "devices": found, "current": current.id if current else None})


@routes.post("/api/devices/invitations")
def invite() -> Response:
    """Invite one device: a link and a code, good once and for five minutes."""
    asked = requests.action(InvitationRequest, key=False)
    made = api().devices.invite(asked.scope, asked.name)
    url = f"{request.host_url}#/sign-in/{made.link}"
    return json_response(
        {"success": True, "url": url, "code": made.code, "scope": made.scope, "until": made.until}, 201
    )


@routes.delete("/api/devices/<id>")
def revoke(id: str) -> Response:
    """Let a device in no more; its open streams end within a second."""
    requests.action(Nothing, key=False)
    return json_response({"success": True, "device": view(api().devices.revoke(id))})


def _me(identity: Identity, record: DeviceRecord | None) -> dict[str, Any]:
    return {
        "success": True,
        "name": identity.name,
        "kind": identity.kind,
        "scope": identity.scope,
        "version": __version__,
        "host": socket.gethostname().partition(".")[0],
        "device": view(record) if record else None,
    }


def _browser(agent: str) -> str:
    """`Firefox on Android`, from what a browser says about itself."""
    browsers = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Mac OS", "a Mac"), ("Windows", "Windows"),
        ("Linux", "Linux"),
    )  # fmt: skip
    what = next((name for mark, name in browsers if mark in agent), "A browser")
    where = next((name for mark, name in systems if mark in agent), "")
    return f"{what} on {where}" if where else what
