"""Every call of this API in one table: what it takes, what it answers, and which scope it needs.

The guard (`api/auth/guard.py`) and the OpenAPI document (`api/reference/openapi.py`) are made from it. A route that is missing
here needs
the scope `admin`, and a test fails.

    read    look: sessions, messages, events, screens, metrics, settings
    chat    talk: send and cancel messages, open, wake and extend sessions, interrupt
    answer  decide for Claude: permissions, questions, plans, trust
    admin   everything else: end sessions, press keys, change settings and permission modes

What a call needs is what its operations need (`shared/bus/operations.py`), also for what is asked for beside; a test holds the
two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.reference import shapes
from api.routes import chat, desk, devices, events, history, legacy, messages, recipients, sessions, terminal
from shared import asciicast
from shared.access.tokens import Scope
from shared.bus import service_requests, session_requests

TEXT = "text/plain; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"
HTML = "text/html; charset=utf-8"
MARKDOWN = "text/markdown; charset=utf-8"
JSON = "application/json"
CAST = asciicast.MEDIA_TYPE
BYTES = "application/octet-stream"

ID = "123e4567-e89b-42d3-a456-426614174000"
MESSAGE_ID = "m_4c039b79f8ee45cfbb8296d2ef93e0de"
RECIPIENT = {
    "kind": "webpush",
    "name": "Ada's phone",
    "target": {
        "endpoint": "https://fcm.googleapis.com/fcm/send/abc",
        "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx", "auth": "BTBZMqHH6r4Tts7J_aSIgg"},
    },
}


@dataclass(frozen=True)
class Body:
    """A request body: its type (None: any object), without what the path says and what a header carries.

    `name`: in the document, where it is not the type's. `need`: always there. `one_of`: at least one of them, and not null unless
    `null_counts`; only one if `exclusive`.
    """

    kind: type[Any] | None
    example: Mapping[str, Any]
    drop: tuple[str, ...] = ("sessionId", "key")
    need: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    null_counts: bool = False
    exclusive: bool = False
    optional: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Call:
    """One call. `scope` None: no token needed. `answers` maps a status to a shape, or to the type of what is no JSON."""

    method: str
    path: str
    scope: Scope | None
    answers: Mapping[int, type[Any] | str]
    tag: str
    query: type[Any] | None = None
    body: Body | None = None
    errors: tuple[int, ...] = ()
    streams: bool = False

    @property
    def acts(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"


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
_SEND = {200: shapes.MessageOutcome, 202: shapes.MessageOutcome}
_FATE = (404, 409, 502, 504, 507)
_ACT = (404, 409, 504, 507)
_ONE = {200: shapes.SessionResult}
_EMPTY = Body(session_requests.SessionRef, {}, optional=True, name="EmptyRequest")

CALLS: tuple[Call, ...] = (
    Call("GET", "/", None, {200: shapes.Index}, "Service"),
    Call("GET", "/health", None, {200: shapes.Health, 503: shapes.Unhealthy}, "Service"),
    Call("GET", "/api/openapi.json", None, {200: JSON}, "Service"),
    Call("GET", "/api/docs", None, {200: HTML}, "Service"),
    Call("GET", "/api/health", "read", {200: shapes.FullHealth, 503: shapes.Unhealthy}, "Service"),
    Call("GET", "/api/status", "read", {200: shapes.Status}, "Service"),
    Call("GET", "/api/metrics/sessions", "read", {200: shapes.Metrics}, "Service"),
    Call("GET", "/metrics", "read", {200: TEXT}, "Service"),
    Call("GET", "/api/settings", "read", {200: shapes.SettingsInForce}, "Service"),
    Call(
        "PATCH",
        "/api/settings",
        "admin",
        {200: shapes.SettingsInForce},
        "Service",
        body=Body(None, {"sessions.timeout_hours": 48}),
        errors=(507,),
    ),
    Call("POST", "/api/chat", "chat", _SEND, "Messages", body=_CHAT, errors=_FATE, streams=True),
    Call(
        "GET",
        "/api/sessions/<id>/messages",
        "read",
        {200: shapes.MessageList},
        "Messages",
        query=messages.MessagesQuery,
        errors=(404,),
    ),
    Call("POST", "/api/sessions/<id>/messages", "chat", _SEND, "Messages", body=_POST, errors=_FATE, streams=True),
    Call(
        "GET",
        "/api/messages/<id>",
        "read",
        {200: shapes.Receipt},
        "Messages",
        query=messages.ReceiptQuery,
        errors=(404, 504),
    ),
    Call(
        "DELETE",
        "/api/messages/<id>",
        "chat",
        {200: shapes.Receipt},
        "Messages",
        body=_EMPTY,
        errors=_ACT,
    ),
    Call("GET", "/api/sessions", "read", {200: shapes.SessionList}, "Sessions", query=sessions.SessionsQuery),
    Call(
        "POST",
        "/api/sessions",
        "chat",
        {201: shapes.SessionResult},
        "Sessions",
        body=Body(session_requests.CreateSession, {"projectPath": "/tmp", "title": "Fix the build"}, drop=("key",)),
        errors=(404, 409, 502, 504, 507),
    ),
    Call("GET", "/api/attention", "read", {200: shapes.SessionList}, "Sessions"),
    Call("GET", "/api/sessions/<id>", "read", _ONE, "Sessions", errors=(404,)),
    Call(
        "PATCH",
        "/api/sessions/<id>",
        "chat",
        _ONE,
        "Sessions",
        body=Body(
            session_requests.UpdateSession,
            {"title": "Fix the build"},
            drop=("sessionId",),
            one_of=tuple(sorted(sessions.CHANGEABLE)),
            null_counts=True,
        ),
        errors=_ACT,
    ),
    Call(
        "DELETE",
        "/api/sessions/<id>",
        "admin",
        {200: shapes.EndedSession},
        "Sessions",
        body=Body(session_requests.StopSession, {}, drop=("sessionId", "key", "reason"), optional=True),
        errors=_ACT,
    ),
    Call(
        "POST",
        "/api/sessions/<id>/answer",
        "answer",
        {200: shapes.AnswerResult},
        "Sessions",
        body=Body(session_requests.Answer, {"choice": "allow"}, one_of=("choice", "text", "answers", "updatedInput")),
        errors=_ACT,
    ),
    Call(
        "POST",
        "/api/sessions/<id>/interrupt",
        "chat",
        {200: shapes.InterruptResult},
        "Sessions",
        body=_EMPTY,
        errors=_ACT,
    ),
    Call(
        "POST",
        "/api/sessions/<id>/hibernate",
        "admin",
        _ONE,
        "Sessions",
        body=Body(session_requests.HibernateSession, {}, optional=True),
        errors=_ACT,
    ),
    Call("POST", "/api/sessions/<id>/wake", "chat", _ONE, "Sessions", body=_EMPTY, errors=(*_ACT, 502)),
    Call("POST", "/api/sessions/<id>/reopen", "chat", _ONE, "Sessions", body=_EMPTY, errors=(*_ACT, 502)),
    Call(
        "GET",
        "/api/sessions/<id>/screen",
        "read",
        {200: shapes.ScreenResult},
        "Terminal",
        query=terminal.ScreenQuery,
        errors=(404, 409),
    ),
    Call(
        "POST",
        "/api/sessions/<id>/keys",
        "admin",
        _ONE,
        "Terminal",
        body=Body(session_requests.SendKeys, {"keys": ["Escape"]}, one_of=("keys", "text")),
        errors=_ACT,
    ),
    Call(
        "GET",
        "/api/sessions/<id>/terminal",
        "read",
        {101: TEXT},
        "Terminal",
        query=terminal.TerminalQuery,
        errors=(404, 426, 429),
    ),
    Call(
        "POST",
        "/api/sessions/<id>/resize",
        "admin",
        _ONE,
        "Terminal",
        body=Body(session_requests.Resize, {"cols": 120, "rows": 40}),
        errors=_ACT,
    ),
    Call("GET", "/api/sessions/<id>/recording", "read", {200: CAST}, "Terminal", errors=(404,)),
    Call(
        "POST",
        "/api/sessions/<id>/recording",
        "admin",
        {200: shapes.RecordingStatus},
        "Terminal",
        body=Body(terminal.RecordRequest, {"start": True}, drop=()),
        errors=_ACT,
    ),
    Call(
        "POST",
        "/api/tickets",
        "read",
        {201: shapes.NewTicket},
        "Terminal",
        body=Body(terminal.TicketRequest, {"mode": "read", "session": ID}, drop=()),
        errors=(404,),
    ),
    Call(
        "GET",
        "/api/sessions/<id>/history",
        "read",
        {200: shapes.History},
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
        {200: shapes.SearchResult},
        "Messages",
        query=history.SearchQuery,
        errors=(404, 507),
    ),
    Call("GET", "/api/usage", "read", {200: shapes.Usage}, "Messages", query=history.UsageQuery, errors=(404, 507)),
    Call(
        "GET",
        "/api/conversations",
        "admin",
        {200: shapes.ConversationList},
        "Sessions",
        query=history.ConversationsQuery,
    ),
    Call(
        "POST",
        "/api/sessions/<id>/commands",
        "admin",
        {200: shapes.CommandOutcome, 202: shapes.CommandOutcome},
        "Messages",
        body=Body(history.CommandRequest, {"command": "/compact"}, drop=()),
        errors=_FATE,
    ),
    Call(
        "POST",
        "/api/sessions/<id>/fork",
        "chat",
        {201: shapes.SessionResult},
        "Sessions",
        body=Body(history.ForkRequest, {"title": "Another way"}, drop=(), optional=True),
        errors=(*_ACT, 502),
    ),
    Call(
        "POST",
        "/api/messages/<id>/move",
        "chat",
        {200: shapes.MessageQueue},
        "Messages",
        body=Body(history.QueuePosition, {"position": 0}, drop=()),
        errors=_ACT,
    ),
    Call(
        "PATCH",
        "/api/messages/<id>",
        "chat",
        {200: shapes.Receipt},
        "Messages",
        body=Body(messages.MessageChange, {"text": "Another wording"}, drop=()),
        errors=_ACT,
    ),
    Call("GET", "/api/messages/<id>/attachments/<number>", "read", {200: BYTES}, "Messages", errors=(404,)),
    Call(
        "PUT",
        "/api/sessions/<id>/seen",
        "read",
        _ONE,
        "Sessions",
        body=Body(desk.SeenMark, {"at": 1795429790991}, drop=(), optional=True),
        errors=(404, 507),
    ),
    Call("GET", "/api/sessions/<id>/draft", "chat", {200: shapes.Draft}, "Messages", errors=(404,)),
    Call(
        "PUT",
        "/api/sessions/<id>/draft",
        "chat",
        {200: shapes.Draft},
        "Messages",
        body=Body(desk.DraftText, {"draft": "And then"}, drop=()),
        errors=(404, 507),
    ),
    Call("POST", "/api/sessions/<id>/recycle", "admin", _ONE, "Sessions", body=_EMPTY, errors=(*_ACT, 502)),
    Call("GET", "/api/folders", "chat", {200: shapes.FolderList}, "Sessions", query=desk.FoldersQuery),
    Call(
        "GET", "/api/events/page", "read", {200: shapes.EventPage}, "Events", query=desk.EventPageQuery, errors=(404,)
    ),
    Call("GET", "/api/metrics/samples", "read", {200: shapes.SampleSeries}, "Service", query=desk.SamplesQuery),
    Call("GET", "/api/rules", "read", {200: shapes.PermissionRules}, "Service"),
    Call(
        "POST",
        "/api/rules",
        "admin",
        {201: shapes.OnePermissionRule},
        "Service",
        body=Body(service_requests.AddRule, {"tool": "Bash", "pattern": "git status*", "answer": "allow"}, drop=()),
        errors=(409, 507),
    ),
    Call("DELETE", "/api/rules/<id>", "admin", {200: shapes.Acknowledged}, "Service", body=_EMPTY, errors=(404, 507)),
    Call("GET", "/api/events", "read", {200: EVENTS}, "Events", query=events.EventsQuery, errors=(404,), streams=True),
    Call(
        "GET",
        "/api/sessions/<id>/stream",
        "read",
        {200: EVENTS},
        "Events",
        query=events.StreamQuery,
        errors=(404,),
        streams=True,
    ),
    Call(
        "POST",
        "/api/sign-in",
        None,
        {201: shapes.CurrentClient},
        "Devices",
        body=Body(
            devices.SignInRequest, {"code": "K7QM-3XRD", "name": "My phone"}, drop=(), one_of=("link", "code", "token")
        ),
        errors=(401,),
    ),
    Call("GET", "/api/me", "read", {200: shapes.CurrentClient}, "Devices"),
    Call(
        "POST",
        "/api/sign-out",
        "read",
        {200: shapes.SignedOut},
        "Devices",
        body=_EMPTY,
        errors=(404,),
    ),
    Call("GET", "/api/devices", "read", {200: shapes.DeviceList}, "Devices"),
    Call(
        "POST",
        "/api/devices/invitations",
        "admin",
        {201: shapes.Invitation},
        "Devices",
        body=Body(devices.InvitationRequest, {"scope": "answer", "name": "My phone"}, drop=(), optional=True),
    ),
    Call(
        "DELETE",
        "/api/devices/<id>",
        "admin",
        {200: shapes.SignedOut},
        "Devices",
        body=_EMPTY,
        errors=(404,),
    ),
    Call(
        "POST",
        "/api/sessions/keep-alive",
        "chat",
        {200: shapes.KeepAliveResult},
        "Legacy",
        body=Body(legacy.KeepAliveRequest, {"sessionId": ID, "action": "extend"}, drop=(), need=("sessionId",)),
        errors=_ACT,
    ),
    Call("GET", "/api/sessions/active", "read", {200: shapes.LegacySessions}, "Legacy"),
    Call("GET", "/api/sessions/interactive/<id>/status", "read", {200: shapes.LegacyStatus}, "Legacy", errors=(404,)),
    Call("DELETE", "/api/sessions/interactive/<id>", "admin", {200: shapes.LegacyEnded}, "Legacy", errors=_ACT),
    Call("GET", "/api/recipients", "read", {200: shapes.RecipientList}, "Notifications"),
    Call(
        "POST",
        "/api/recipients",
        "read",
        {201: shapes.OneRecipient},
        "Notifications",
        body=Body(service_requests.AddRecipient, RECIPIENT, drop=()),
        errors=(429, 507),
    ),
    Call(
        "PATCH",
        "/api/recipients/<id>",
        "chat",
        {200: shapes.OneRecipient},
        "Notifications",
        body=Body(recipients.RecipientChange, {"rules": {"quiet": {"start": "22:00", "end": "07:00"}}}, drop=()),
        errors=(404, 409, 507),
    ),
    Call(
        "DELETE",
        "/api/recipients/<id>",
        "chat",
        {200: shapes.Acknowledged},
        "Notifications",
        body=_EMPTY,
        errors=(404, 409, 507),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/test",
        "chat",
        {200: shapes.Tested},
        "Notifications",
        body=_EMPTY,
        errors=(404, 504, 507),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/presence",
        "read",
        {200: shapes.OneRecipient},
        "Notifications",
        body=Body(recipients.PresenceChange, {"present": True}, drop=()),
        errors=(404,),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/receipts",
        "read",
        {200: shapes.Acknowledged},
        "Notifications",
        body=Body(recipients.ReceiptStep, {"key": "mac-mini/6f2a:17", "step": "shown"}, drop=()),
        errors=(404, 507),
    ),
    Call("GET", "/api/notifications", "read", {200: shapes.NoticeList}, "Notifications", query=recipients.NoticesQuery),
    Call("GET", "/api/notifications/key", "read", {200: shapes.PushKey}, "Notifications", errors=(409,)),
    Call(
        "POST",
        "/api/notifications/links/<token>",
        None,
        {200: shapes.LinkUsed},
        "Notifications",
        body=_EMPTY,
        errors=(404, 409, 504, 507),
    ),
)


def scopes() -> dict[tuple[str, str], Scope]:
    """What (method, rule) needs; calls without a token are not in it."""
    return {(call.method, call.path): call.scope for call in CALLS if call.scope is not None}
