"""The calls on the service itself: health, settings, events, devices, notifications: rows of the table in `calls`.

What must not regress: a call has the scope that its operations need, and names every refusal of its own that it can give.
"""

from __future__ import annotations

from api.reference import service_shapes
from api.reference.call import EMPTY, EVENTS, HTML, JSON, TEXT, Body, Call
from api.routes import desk, devices, events, recipients
from shared.bus import service_requests

RECIPIENT = {
    "kind": "webpush",
    "name": "Ada's phone",
    "target": {
        "endpoint": "https://fcm.googleapis.com/fcm/send/abc",
        "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx", "auth": "BTBZMqHH6r4Tts7J_aSIgg"},
    },
}


SERVICE_CALLS: tuple[Call, ...] = (
    Call("GET", "/", None, {200: service_shapes.Index}, "Service"),
    Call("GET", "/health", None, {200: service_shapes.Health, 503: service_shapes.Unhealthy}, "Service"),
    Call("GET", "/api/openapi.json", None, {200: JSON}, "Service"),
    Call("GET", "/api/docs", None, {200: HTML}, "Service"),
    Call("GET", "/api/health", "read", {200: service_shapes.FullHealth, 503: service_shapes.Unhealthy}, "Service"),
    Call("GET", "/api/status", "read", {200: service_shapes.Status}, "Service"),
    Call("GET", "/api/metrics/sessions", "read", {200: service_shapes.Metrics}, "Service"),
    Call("GET", "/metrics", "read", {200: TEXT}, "Service"),
    Call("GET", "/api/settings", "read", {200: service_shapes.SettingsInForce}, "Service"),
    Call(
        "PATCH",
        "/api/settings",
        "admin",
        {200: service_shapes.SettingsInForce},
        "Service",
        body=Body(None, {"sessions.timeout_hours": 48}),
        errors=(507,),
    ),
    Call("GET", "/api/metrics/samples", "read", {200: service_shapes.SampleSeries}, "Service", query=desk.SamplesQuery),
    Call("GET", "/api/rules", "read", {200: service_shapes.PermissionRules}, "Service"),
    Call(
        "POST",
        "/api/rules",
        "admin",
        {201: service_shapes.OnePermissionRule},
        "Service",
        body=Body(service_requests.AddRule, {"tool": "Bash", "pattern": "git status*", "answer": "allow"}, drop=()),
        errors=(409, 507),
    ),
    Call(
        "DELETE",
        "/api/rules/<id>",
        "admin",
        {200: service_shapes.Acknowledged},
        "Service",
        body=EMPTY,
        errors=(404, 507),
    ),
    Call(
        "GET",
        "/api/events/page",
        "read",
        {200: service_shapes.EventPage},
        "Events",
        query=desk.EventPageQuery,
        errors=(404,),
    ),
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
        {201: service_shapes.CurrentClient},
        "Devices",
        body=Body(
            devices.SignInRequest, {"code": "K7QM-3XRD", "name": "My phone"}, drop=(), one_of=("link", "code", "token")
        ),
        errors=(401,),
    ),
    Call("GET", "/api/me", "read", {200: service_shapes.CurrentClient}, "Devices"),
    Call(
        "POST",
        "/api/sign-out",
        "read",
        {200: service_shapes.SignedOut},
        "Devices",
        body=EMPTY,
        errors=(404,),
    ),
    Call("GET", "/api/devices", "read", {200: service_shapes.DeviceList}, "Devices"),
    Call(
        "POST",
        "/api/devices/invitations",
        "admin",
        {201: service_shapes.Invitation},
        "Devices",
        body=Body(devices.InvitationRequest, {"scope": "answer", "name": "My phone"}, drop=(), optional=True),
    ),
    Call(
        "DELETE",
        "/api/devices/<id>",
        "admin",
        {200: service_shapes.SignedOut},
        "Devices",
        body=EMPTY,
        errors=(404,),
    ),
    Call("GET", "/api/recipients", "read", {200: service_shapes.RecipientList}, "Notifications"),
    Call(
        "POST",
        "/api/recipients",
        "read",
        {201: service_shapes.OneRecipient},
        "Notifications",
        body=Body(service_requests.AddRecipient, RECIPIENT, drop=()),
        errors=(429, 507),
    ),
    Call(
        "PATCH",
        "/api/recipients/<id>",
        "chat",
        {200: service_shapes.OneRecipient},
        "Notifications",
        body=Body(recipients.RecipientChange, {"rules": {"quiet": {"start": "22:00", "end": "07:00"}}}, drop=()),
        errors=(404, 409, 507),
    ),
    Call(
        "DELETE",
        "/api/recipients/<id>",
        "chat",
        {200: service_shapes.Acknowledged},
        "Notifications",
        body=EMPTY,
        errors=(404, 409, 507),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/test",
        "chat",
        {200: service_shapes.Tested},
        "Notifications",
        body=EMPTY,
        errors=(404, 504, 507),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/presence",
        "read",
        {200: service_shapes.OneRecipient},
        "Notifications",
        body=Body(recipients.PresenceChange, {"present": True}, drop=()),
        errors=(404,),
    ),
    Call(
        "POST",
        "/api/recipients/<id>/receipts",
        "read",
        {200: service_shapes.Acknowledged},
        "Notifications",
        body=Body(recipients.ReceiptStep, {"key": "mac-mini/6f2a:17", "step": "shown"}, drop=()),
        errors=(404, 507),
    ),
    Call(
        "GET",
        "/api/notifications",
        "read",
        {200: service_shapes.NoticeList},
        "Notifications",
        query=recipients.NoticesQuery,
    ),
    Call("GET", "/api/notifications/key", "read", {200: service_shapes.PushKey}, "Notifications", errors=(409,)),
    Call(
        "POST",
        "/api/notifications/links/<token>",
        None,
        {200: service_shapes.LinkUsed},
        "Notifications",
        body=EMPTY,
        errors=(404, 409, 504, 507),
    ),
)
