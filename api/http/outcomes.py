"""Sending a message and telling what became of it: shared by `/api/chat` and `/api/sessions/<id>/messages`.

Answered is 200, and so is replied for who asked for no more (`until`), accepted but not
settled is 202, failed is the status of its error; every one carries messageId,
sessionId and state. `content` is the reply under the name that legacy clients decode, and empty until there is one:
they take an answer without it for an error. A caller that asked to wait while all holding threads are taken gets the 202 at
once instead of an error: its message is accepted either way.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from flask import Response

from api.context import api
from api.http.problems import body_of, json_response, respond
from shared.bus.message_requests import SendMessage
from shared.bus.messages import ErrorBody, MessageView, Sent, SessionView, Until, has_come

INTERRUPT_SECONDS = 30.0
"""What a message may take to be accepted that ends the turn before it."""

_UNHAPPY = {
    "failed": ErrorBody(code="message_failed", message="Claude could not answer this message.", status=502),
    "interrupted": ErrorBody(
        code="interrupted", message="The answer was interrupted. Send the message again if you need it.", status=409
    ),
    "cancelled": ErrorBody(code="cancelled", message="The message was cancelled before it was sent.", status=409),
}


def deliver(message: SendMessage) -> Response:
    """Send, hold for the reply as long as `message.wait` says, and answer."""
    here = api()
    with here.long_calls.taken() as free:
        if message.wait and not free:
            message = msgspec.structs.replace(message, wait=0.0)
        sent = msgspec.convert(here.act("message.send", message, message.wait + interrupt_allowance(message)), Sent)
    return outcome(sent, message.until)


def interrupt_allowance(message: SendMessage) -> float:
    """Seconds that it may take to end the turn that runs, before a message that asks for that is waited for."""
    return INTERRUPT_SECONDS if message.interrupt else 0.0


def outcome(sent: Sent, until: Until = "answered") -> Response:
    """The response for a message in whatever state it is."""
    status, body = tell(sent, until)
    return json_response(body, status) if body["success"] else respond(status, body)


def tell(sent: Sent, until: Until = "answered") -> tuple[int, dict[str, Any]]:
    """The status and the body of that response; `requestId` is the key under which the message is known."""
    message, session = sent.message, sent.session
    body = _members(message, session)
    if sent.duplicate:
        body["duplicate"] = True
    if sent.pushed:
        body["deliveryMethod"] = "apns"
    unhappy = _UNHAPPY.get(message.state)
    if unhappy is not None:
        error = message.error or unhappy
        problem = body_of(error)
        return problem["status"], {**problem, **body, "message": error.message}
    body |= {"success": True, "content": message.reply or ""}
    if has_come(message, until):
        return 200, {**body, "message": "Claude replied.", "reply": message.reply or ""}
    return 202, {**body, "message": _progress(message, session)}


def _members(message: MessageView, session: SessionView) -> dict[str, Any]:
    body: dict[str, Any] = {
        "requestId": message.request_id,
        "messageId": message.id,
        "sessionId": session.id,
        "projectPath": session.project_path,
        "state": message.state,
        "sessionState": session.state,
        "queuePosition": message.queue_position or 0,
        "timestamp": int(time.time() * 1000),
        "deliveryMethod": "http",
    }
    if session.waiting is not None:
        body["waiting"] = session.waiting
    if session.permission_mode is not None:
        body["permissionMode"] = session.permission_mode
    if message.usage is not None:
        body["usage"] = message.usage
    if message.normalized:
        body["normalized"] = message.normalized
    if message.tool_calls:
        body["toolCalls"] = message.tool_calls
    return body


def _progress(message: MessageView, session: SessionView) -> str:
    if session.waiting is not None:
        return (
            f"The message is accepted. The session waits for a person: {session.waiting.title}. "
            f"Answer with POST /api/sessions/{session.id}/answer."
        )
    return f"The message is accepted. GET /api/messages/{message.id}?wait=60 returns the reply."
