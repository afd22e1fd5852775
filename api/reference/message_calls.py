"""The calls on messages, and on what was said: rows of the table in `calls`.

What must not regress: a call has the scope that its operations need, and names every refusal of its own that it can give.
"""

from __future__ import annotations

from api.reference import message_shapes
from api.reference.call import ACT, BYTES, EMPTY, FATE, MARKDOWN, Body, Call
from api.routes import chat, desk, history, messages

_CHAT = Body(
    chat.ChatRequest,
    {"message": "Remember the word BANANA", "projectPath": "/tmp", "wait": 60},
    drop=(),
    need=("message",),
)


_POST = Body(
    messages.PostMessage,
    {"message": "What word did I ask you to remember?", "wait": 60},
    drop=(),
    one_of=("message", "text"),
    exclusive=True,
)


_SEND = {200: message_shapes.MessageOutcome, 202: message_shapes.MessageOutcome}


MESSAGE_CALLS: tuple[Call, ...] = (
    Call("POST", "/api/chat", "chat", _SEND, "Messages", body=_CHAT, errors=FATE, streams=True),
    Call(
        "GET",
        "/api/sessions/<id>/messages",
        "read",
        {200: message_shapes.MessageList},
        "Messages",
        query=messages.MessagesQuery,
        errors=(404,),
    ),
    Call("POST", "/api/sessions/<id>/messages", "chat", _SEND, "Messages", body=_POST, errors=FATE, streams=True),
    Call(
        "GET",
        "/api/messages/<id>",
        "read",
        {200: message_shapes.Receipt},
        "Messages",
        query=messages.ReceiptQuery,
        errors=(404, 504),
    ),
    Call(
        "DELETE",
        "/api/messages/<id>",
        "chat",
        {200: message_shapes.Receipt},
        "Messages",
        body=EMPTY,
        errors=ACT,
    ),
    Call(
        "GET",
        "/api/sessions/<id>/history",
        "read",
        {200: message_shapes.History},
        "Messages",
        query=history.HistoryQuery,
        errors=(404,),
    ),
    Call(
        "GET",
        "/api/sessions/<id>/export",
        "read",
        {200: MARKDOWN},
        "Messages",
        query=history.ExportQuery,
        errors=(404,),
    ),
    Call(
        "GET",
        "/api/search",
        "read",
        {200: message_shapes.SearchResult},
        "Messages",
        query=history.SearchQuery,
        errors=(404, 507),
    ),
    Call(
        "GET",
        "/api/usage",
        "read",
        {200: message_shapes.Usage},
        "Messages",
        query=history.UsageQuery,
        errors=(404, 507),
    ),
    Call(
        "POST",
        "/api/sessions/<id>/commands",
        "admin",
        {200: message_shapes.CommandOutcome, 202: message_shapes.CommandOutcome},
        "Messages",
        body=Body(history.CommandRequest, {"command": "/compact"}, drop=()),
        errors=FATE,
    ),
    Call(
        "POST",
        "/api/messages/<id>/move",
        "chat",
        {200: message_shapes.MessageQueue},
        "Messages",
        body=Body(history.QueuePosition, {"position": 0}, drop=()),
        errors=ACT,
    ),
    Call(
        "PATCH",
        "/api/messages/<id>",
        "chat",
        {200: message_shapes.Receipt},
        "Messages",
        body=Body(messages.MessageChange, {"text": "Another wording"}, drop=()),
        errors=ACT,
    ),
    Call("GET", "/api/messages/<id>/attachments/<number>", "read", {200: BYTES}, "Messages", errors=(404,)),
    Call("GET", "/api/sessions/<id>/draft", "chat", {200: message_shapes.Draft}, "Messages", errors=(404,)),
    Call(
        "PUT",
        "/api/sessions/<id>/draft",
        "chat",
        {200: message_shapes.Draft},
        "Messages",
        body=Body(desk.DraftText, {"draft": "And then"}, drop=()),
        errors=(404, 507),
    ),
)
