"""Messages of a session and their receipts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from msgspec import Struct

from api.context import api
from api.http import files, forms, requests
from api.http.problems import json_response
from api.routes.chat import send
from shared.bus.message_requests import ListMessages, MessageRef, SendMessage, UpdateMessage
from shared.bus.messages import Attachment, MessageState, Until
from shared.bus.service_requests import Nothing

routes = Blueprint("messages", __name__)


class PostMessage(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message for a session; `text` is another name for `message`. `front`: before those that wait already.
    `until: replied`: answered with the whole text, before tool calls and usage are known.
    `interrupt`: at once, ending the turn that runs. `exact`: refuse a text that would not reach Claude as it is, instead of
    changing what is harmless."""

    message: str | None = None
    text: str | None = None
    wait: float | None = None
    until: Until | None = None
    attachments: list[Attachment] | None = None
    front: bool = False
    interrupt: bool = False
    exact: bool = False
    request_id: str | None = None


class MessageChange(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another text."""

    text: str


class MessagesQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`after` is the `next` of the page before."""

    after: str | None = None
    limit: int = 100
    state: MessageState | None = None


class ReceiptQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`wait`: seconds to hold until the message is settled, or with `until: replied` its whole text is there."""

    wait: float | None = None
    until: Until | None = None


@routes.get("/api/sessions/<id>/messages")
def list_messages(id: str) -> Response:
    """The messages of a session, oldest first."""
    session = requests.session_id(id)
    page = requests.query(MessagesQuery)
    if not 1 <= page.limit <= 1000:
        raise requests.invalid("limit", "`limit` must be between 1 and 1000.")
    result = api().call(
        "message.list", ListMessages(session_id=session, after=page.after, limit=page.limit, state=page.state)
    )
    return json_response({"success": True, "messages": result["messages"], "next": result.get("next")})


@routes.post("/api/sessions/<id>/messages")
@forms.accepted
def post_message(id: str) -> Response:
    """Send a message to this session; answered at once (202) unless `wait` says otherwise.

    With `Accept: text/event-stream` as `POST /api/chat` streams.
    """
    session = requests.session_id(id)
    tree = forms.json_object()
    key = requests.idempotency_key(tree.get("requestId"))
    body = requests.fit(PostMessage, tree)
    if body.message is not None and body.text is not None and body.message != body.text:
        raise requests.invalid("text", "`message` and `text` are the same field: send one of them.")
    return send(
        SendMessage(
            text=requests.chat_text(body.message if body.message is not None else body.text),
            session_id=session,
            wait=requests.wait_seconds(body.wait, 0.0),
            until=body.until or "answered",
            key=key,
            attachments=requests.attachments(body.attachments),
            front=body.front,
            interrupt=body.interrupt,
            exact=body.exact,
        )
    )


@routes.get("/api/messages/<id>")
def get_message(id: str) -> Response:
    """The receipt: state, the time of each step, the reply (`content` is the same, and never null)."""
    message = requests.message_id(id)
    asked = requests.query(ReceiptQuery)
    wait = requests.wait_seconds(asked.wait, 0.0)
    here = api()
    with here.long_calls.taken() as free:
        wait = wait if free else 0.0
        order = MessageRef(message_id=message, wait=wait, until=asked.until or "answered")
        return _receipt(here.act("message.get", order, wait))


@routes.patch("/api/messages/<id>")
def change_message(id: str) -> Response:
    """Give a message that waits in the queue another text, in its place; 409 when it does not wait any more."""
    change = requests.action(MessageChange, key=False)
    order = UpdateMessage(message_id=requests.message_id(id), text=requests.chat_text(change.text))
    return _receipt(api().call("message.update", order))


@routes.get("/api/messages/<id>/attachments/<number>")
def get_attachment(id: str, number: str) -> Response:
    """A file that was sent with a message, by its place from 0: as a download, never as a page of this origin."""
    view = api().call("message.get", MessageRef(message_id=requests.message_id(id)))
    return files.download(view.get("attachments") or [], int(number) if number.isascii() and number.isdigit() else -1)


@routes.delete("/api/messages/<id>")
def cancel_message(id: str) -> Response:
    """Cancel a message that is still in the queue; 409 when it is not."""
    requests.action(Nothing, key=False)
    return _receipt(api().act("message.cancel", MessageRef(message_id=requests.message_id(id)), 0.0))


def _receipt(view: dict[str, Any]) -> Response:
    return json_response({"success": True, "messageId": view["id"], "content": view.get("reply") or "", **view})
