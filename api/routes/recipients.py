"""Recipients and channels that are told, what they were told, and the links of notifications' buttons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Blueprint, Response, g
from msgspec import Meta, Struct

from api.auth.guard import need_for, public
from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared.access.tokens import allows
from shared.bus.notifications import Rules
from shared.bus.service_requests import (
    AddRecipient,
    ListNotices,
    Nothing,
    NoticeReceipt,
    RecipientRef,
    SetPresence,
    UpdateRecipient,
    UseLink,
)

routes = Blueprint("recipients", __name__)

TEST_SECONDS = 30.0
LINK_SECONDS = 20.0


class RecipientChange(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another name, or other rules (all of them: what is left out is as if it had never been set)."""

    name: str | None = None
    rules: Rules | None = None


class PresenceChange(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether somebody looks at this recipient."""

    present: bool


class ReceiptStep(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the recipient has done with a notification."""

    key: str
    step: Literal["received", "shown"]


class NoticesQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many, and of which recipient."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    recipient: str | None = None


@routes.get("/api/recipients")
def list_recipients() -> Response:
    """All recipients and channels that are told, with their last success and their last error."""
    return json_response({"success": True, **api().call("recipient.list")})


@routes.post("/api/recipients")
def add_recipient() -> Response:
    """Register a recipient or a service that is told from now on.

    A browser (`webpush`, `target` as `PushSubscription.toJSON()` gives it) or a phone (`apns`: {token, environment?}) with any
    token; a service (`ntfy`: {server, topic, token?}; `webhook`: {url, secret?, form?}) with one of scope `admin`. The same
    address again is the same recipient: an app may do this at every start.
    """
    order = requests.action(AddRecipient, key=False)
    need_for("recipient.add", order)
    return json_response({"success": True, "recipient": api().call("recipient.add", order)}, 201)


@routes.patch("/api/recipients/<id>")
def change_recipient(id: str) -> Response:
    """Give it another name, or other rules.

    A recipient is changed, tested and removed by whoever has registered it, and with the scope `admin`.
    """
    change = requests.action(RecipientChange, key=False)
    order = UpdateRecipient(recipient_id=id, name=change.name, rules=change.rules, own=_own())
    return json_response({"success": True, "recipient": api().call("recipient.update", order)})


@routes.delete("/api/recipients/<id>")
def remove_recipient(id: str) -> Response:
    """Forget it: it is not told any more."""
    requests.action(Nothing, key=False)
    api().call("recipient.remove", RecipientRef(recipient_id=id, own=_own()))
    return json_response({"success": True})


@routes.post("/api/recipients/<id>/test")
def test_recipient(id: str) -> Response:
    """Send it a test, and tell what became of it, hop by hop."""
    requests.action(Nothing, key=False)
    result: dict[str, Any] = api().act("recipient.test", RecipientRef(recipient_id=id, own=_own()), TEST_SECONDS)
    return json_response({"success": True, **result})


@routes.post("/api/recipients/<id>/presence")
def set_presence(id: str) -> Response:
    """Say whether somebody looks at it.

    Every minute while a window of it is in the foreground, and once when it is no more; it is believed for 75 seconds.
    """
    change = requests.action(PresenceChange, key=False)
    order = SetPresence(recipient_id=id, present=change.present, own=_own())
    return json_response({"success": True, "recipient": api().call("recipient.presence", order)})


@routes.post("/api/recipients/<id>/receipts")
def add_receipt(id: str) -> Response:
    """Say that a notification was received, or shown."""
    step = requests.action(ReceiptStep, key=False)
    api().call("notification.receipt", NoticeReceipt(recipient_id=id, key=step.key, step=step.step, own=_own()))
    return json_response({"success": True})


@routes.get("/api/notifications")
def list_notices() -> Response:
    """What was told to whom, and what was not and why, newest first."""
    query = requests.query(NoticesQuery)
    order = ListNotices(limit=query.limit, recipient_id=query.recipient)
    return json_response({"success": True, **api().call("notification.log", order)})


@routes.get("/api/notifications/key")
def push_key() -> Response:
    """What a browser subscribes with (`applicationServerKey`).

    409 when Web Push is not configured, and what to do.
    """
    return json_response({"success": True, **api().call("notification.key")})


@routes.post("/api/notifications/links/<token>")
@public
def use_link(token: str) -> Response:
    """Do what the button of a notification stands for.

    The link is the proof: it works once, for one request, for an hour. 409 says that it was answered already, and by whom.
    """
    order = UseLink(token=token)
    return json_response({"success": True, **api().call("notification.link", order, timeout=LINK_SECONDS)})


def _own() -> bool:
    """Whether only what the caller has registered itself is meant: everybody but an administrator."""
    return not allows(g.identity.scope, "admin")
