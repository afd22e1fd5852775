"""`POST /api/chat`: the one call of legacy clients for everything, with the reply in the response."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g
from msgspec import Struct
from msgspec.structs import replace

from api.auth.guard import need_for
from api.context import api
from api.events import message_stream, responses
from api.http import forms, requests
from api.http.outcomes import deliver
from shared.access.tokens import allows
from shared.bus.message_requests import SendMessage
from shared.bus.messages import Attachment, ChatMode, Until

routes = Blueprint("chat", __name__)

DEVICE_WAIT_SECONDS = 50.0
"""How long a client with a `deviceToken` is held at most unless it sends `wait`, when nothing can be pushed to it: legacy clients
give up after 60 seconds, and nothing but this answer brings them the reply."""


class ChatRequest(Struct, rename="camel", frozen=True, kw_only=True):
    """The body; `wait` in seconds. Fields that legacy clients send and nobody needs are accepted."""

    message: str | None = None
    session_id: str | None = None
    project_path: str | None = None
    attachments: list[Attachment] | None = None
    device_token: str | None = None
    wait: float | None = None
    until: Until | None = None
    trust: bool | None = None
    title: str | None = None
    mode: ChatMode | None = None
    exact: bool | None = None
    priority: Any = None
    device_id: Any = None
    user_id: Any = None
    device_info: Any = None


@routes.post("/api/chat")
@forms.accepted
def chat() -> Response:
    """Send a message, to a new session if none is named, and hold for the reply.

    200 with `reply` (and as `content`); 202 when it has not come within `wait` seconds (default api.wait_seconds), or when the
    session waits for a person. With a `deviceToken` the reply is pushed through Apple when that is configured (`notify.apns`):
    the answer comes at once then, and says `deliveryMethod: apns`; without, the default wait is at most 50 seconds. With `Accept:
    text/event-stream` the reply is streamed while Claude writes it, and the last event, `done`, is what this call would have
    answered.

    With `until: replied` the answer comes with the whole text, as soon as Claude has displayed it and says that it has stopped,
    where that is known before its transcript has it: `state` is `submitted` then, and `usage` and `toolCalls` follow with the
    receipt. The default waits until the message is `answered`.

    A session that has ended by itself (expired, exited, crashed) is brought back from its transcript; one that somebody has
    ended stays so (409): `POST /api/sessions/{id}/reopen` is for that.

    `mode: planning` is Claude's plan mode: the message is sent in no other. Where the session is in another one its process is
    replaced first, between two turns; when that cannot be done the message fails (409, `mode_not_possible`). `normal` and
    `code` take the session out of a plan mode that a `planning` has put it into, and leave a `permissionMode` that was chosen
    in any other way as it is: `permissionMode` in the answer says which it is.

    A text that would not reach Claude as it is, for a decomposed letter, a zero-width space or a control character, is brought
    into the form that does, and `normalized` in the answer says what was changed. With `exact: true` it is refused instead
    (400, `unsendable_text`). What would change its meaning (a slash command, `exit`) is refused either way.
    """
    tree = forms.json_object()
    key = requests.idempotency_key(tree.get("requestId"))
    body = requests.fit(ChatRequest, tree)
    default = 0.0 if responses.wanted() else api().config.api.wait_seconds
    if body.device_token:
        pushes = api().config.notify.apns is not None
        default = 0.0 if pushes else min(default, DEVICE_WAIT_SECONDS)
    session = requests.not_blank("sessionId", body.session_id)
    return send(
        SendMessage(
            text=requests.chat_text(body.message),
            session_id=requests.session_id(session) if session else None,
            project_path=requests.not_blank("projectPath", body.project_path),
            title=body.title,
            trust=bool(body.trust),
            wait=requests.wait_seconds(body.wait, default),
            until=body.until or "answered",
            key=key,
            attachments=requests.attachments(body.attachments),
            reopen=True,
            mode=body.mode,
            exact=bool(body.exact),
            device_token=body.device_token or None,
        )
    )


def send(message: SendMessage) -> Response:
    """The answer in the form that the caller asked for."""
    need_for("message.send", message)
    message = replace(message, confined=not allows(g.identity.scope, "answer"))
    start = responses.start()
    if not responses.wanted():
        return deliver(message)
    here = api()
    return responses.respond(here, lambda inbox, gone: message_stream.begin(here, inbox, gone, message, start))
