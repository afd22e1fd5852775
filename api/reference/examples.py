"""One answer of each shape, for the OpenAPI document, and one text of each other kind: what is told of is in `example_values`.

They are made of the shapes themselves, so that one which does not fit any more is found by the type checker; a test holds
each against the document's own schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from api.reference import message_shapes, service_shapes, session_shapes
from api.reference.call import ID as SESSION
from api.reference.call import MESSAGE_ID as MESSAGE
from api.reference.example_values import (
    ANSWERED,
    ASKED,
    AT,
    BOT,
    HOUR,
    IDLE,
    LEGACY,
    MOVE,
    NODE,
    NOTICE,
    PHONE,
    PROJECT,
    QUEUED,
    RECIPIENT,
    REQUEST,
    RULE,
    USAGE,
    WAITS,
    YES,
)
from shared import __version__
from shared.bus.messages import Event, HistoryEntry, MessageView, Sample, Screen, SessionView


def _view(**changes: Any) -> SessionView:
    return msgspec.structs.replace(IDLE, **changes)


def _receipt(view: MessageView) -> message_shapes.Receipt:
    fields = {name: getattr(view, name) for name in MessageView.__struct_fields__}
    return message_shapes.Receipt(success=YES, message_id=view.id, content=view.reply or "", **fields)


_ALL: tuple[msgspec.Struct, ...] = (
    service_shapes.Index(
        name="pilotlight",
        version=__version__,
        token="Send `Authorization: Bearer <token>`; `pilotlight token` prints it.",
        links={"health": "/health", "chat": "/api/chat", "sessions": "/api/sessions", "reference": "/api/docs"},
    ),
    service_shapes.Health(
        status="healthy", version=__version__, aicli_code_available=True, timestamp=AT, node=NODE, epoch="6f2a90b1c3d4"
    ),
    service_shapes.Unhealthy(
        status="unhealthy", success=False, error="The supervisor does not answer. `pilotlight up` starts it."
    ),
    service_shapes.FullHealth(
        status="healthy",
        version=__version__,
        aicli_code_available=True,
        active_sessions=1,
        session_count=3,
        resources={"sessions": {"memoryBytes": 412_000_000, "memoryLimitBytes": 2_147_483_648, "live": 1, "limit": 10}},
        checks=[
            service_shapes.HealthCheck(name="supervisor", status="ok", detail="pid 4242"),
            service_shapes.HealthCheck(name="cli", status="ok", detail="/usr/local/bin/claude, version 2.1.330"),
        ],
        timestamp=AT,
        node=NODE,
        epoch="6f2a90b1c3d4",
    ),
    service_shapes.Status(
        success=YES,
        pid=4242,
        version=__version__,
        started_at=AT,
        claude_version="2.1.330",
        sessions=[IDLE],
        api={"version": __version__, "url": "http://127.0.0.1:3001/"},
        node=NODE,
        epoch="6f2a90b1c3d4",
    ),
    service_shapes.Metrics(
        success=YES,
        sessions={"total": 3, "byState": {"idle": 1, "hibernated": 2}},
        counters={"starts": 3, "wakes": 1, "hibernations": 3},
        latency={"submitted_to_answered": {"count": 50.0, "p50": 91.0, "p95": 140.0, "p99": 180.0}},
        per_session=[{"id": SESSION, "state": "idle", "memoryBytes": 412_000_000, "cpuPercent": 0.4, "queueLength": 0}],
    ),
    service_shapes.SettingsInForce(
        success=YES,
        settings={"sessions.timeout_hours": 48.0, "sessions.max_concurrent": 10},
        changed=["sessions.timeout_hours"],
    ),
    message_shapes.MessageOutcome(
        success=YES,
        message="Claude replied.",
        request_id=REQUEST,
        message_id=MESSAGE,
        session_id=SESSION,
        project_path=PROJECT,
        state="answered",
        session_state="idle",
        queue_position=0,
        timestamp=AT,
        delivery_method="http",
        content="BANANA",
        reply="BANANA",
        usage=USAGE,
    ),
    _receipt(ANSWERED),
    message_shapes.MessageList(success=YES, messages=[ANSWERED]),
    message_shapes.MessageQueue(success=YES, messages=[QUEUED]),
    session_shapes.SessionList(success=YES, sessions=[WAITS]),
    session_shapes.SessionResult(success=YES, session=IDLE),
    session_shapes.InterruptResult(success=YES, session=IDLE, rung="escape"),
    session_shapes.AnswerResult(
        success=YES, session=_view(state="busy"), answer={"waitingId": ASKED.id, "choice": "allow"}
    ),
    session_shapes.EndedSession(
        success=YES,
        session=_view(state="ended", ended_at=AT, end_reason="killed", pid=None, holder_pid=None, expires_at=None),
        message="The session has ended.",
        session_id=SESSION,
    ),
    session_shapes.MoveResult(success=YES, move=MOVE, session=IDLE),
    session_shapes.MoveCalledOff(success=YES, move=MOVE, session=IDLE),
    session_shapes.KeptBundle(success=YES, digest="0" * 64, arrived=False),
    session_shapes.ScreenResult(
        success=YES,
        screen=Screen(session_id=SESSION, cols=40, rows=5, cursor=(2, 1), text="─" * 40 + "\n> \n" + "─" * 40),
    ),
    session_shapes.RecordingStatus(success=YES, recording=True, bytes=18_230),
    session_shapes.NewTicket(success=YES, ticket="zaxsFVcU5IXvwaiAqWM89K7hg0g94VLC", expires_in=30.0),
    message_shapes.History(
        success=YES,
        entries=[
            HistoryEntry(id="4b1f", role="user", at=AT, text=ANSWERED.text),
            HistoryEntry(id="9c02", role="assistant", at=AT + 1900, text="BANANA", usage=USAGE),
        ],
        next=None,
    ),
    message_shapes.SearchResult(
        success=YES,
        hits=[
            message_shapes.SearchHit(
                session_id=SESSION,
                conversation_id="8c82c545-a3b0-4826-a0d7-f798799fcf85",
                role="assistant",
                id="9c02",
                at=AT,
                title="Fix the build",
                project_path=PROJECT,
                snippet="BANANA",
                marks=[(0, 6)],
            )
        ],
        complete=True,
        next=None,
    ),
    message_shapes.Usage(
        success=YES,
        by="day",
        rows=[message_shapes.UsageRow(day="2026-11-23", replies=1, usage=USAGE, from_="2026-11-23", to="2026-11-23")],
        total=USAGE,
        complete=True,
        next=None,
    ),
    message_shapes.ConversationList(
        success=YES,
        conversations=[
            message_shapes.Conversation(
                id="b6f3a3d2-5a0e-4f0e-9d5b-0f5f3a1c7e21",
                project_path=PROJECT,
                title="Why is the build slow?",
                first_prompt="The build takes ten minutes. Why?",
                last_activity=AT,
                messages=14,
                pid=None,
            )
        ],
        next=None,
    ),
    message_shapes.CommandOutcome(
        success=YES,
        request_id=REQUEST,
        message_id=MESSAGE,
        session_id=SESSION,
        state="answered",
        session=IDLE,
        output="Compacted",
    ),
    session_shapes.KeepAliveResult(success=YES, session_id=SESSION, extended=True, expires_at=AT + 24 * HOUR),
    session_shapes.LegacySessions(
        success=YES,
        sessions=[session_shapes.LegacySession(**LEGACY)],
        stats=session_shapes.LegacyStats(
            total_sessions=1, max_sessions=10, available_slots=9, memory_usage=412_000_000
        ),
    ),
    session_shapes.LegacyStatus(
        success=YES, **LEGACY, time_remaining=24 * HOUR, is_expired=False, needs_warning=False, active=True
    ),
    service_shapes.CurrentClient(
        success=YES,
        name=PHONE.name,
        kind="device",
        scope="answer",
        version=__version__,
        host="mac-mini",
        device=PHONE,
    ),
    service_shapes.DeviceList(success=YES, devices=[PHONE], current=PHONE.id),
    service_shapes.SignedOut(success=YES, device=PHONE),
    service_shapes.TokenList(success=YES, tokens=[BOT]),
    service_shapes.OneToken(success=YES, token=BOT),
    service_shapes.NewToken(success=YES, token=BOT, secret="pl_8Zk3vYw0m1b2c3d4e5f6g7h8i9j0kAlBmCnDoEpFqGr"),
    service_shapes.Invitation(
        success=YES,
        url="http://127.0.0.1:3001/#/sign-in/zaxsFVcU5IXvwaiAqWM89K7hg0g94VLC",
        code="K7QM-3XRD",
        scope="answer",
        until=AT + 300_000,
    ),
    session_shapes.LegacyEnded(success=YES, message="Interactive session terminated", session_id=SESSION),
    service_shapes.EventPage(
        success=YES,
        events=[
            Event(
                v=1,
                epoch="6f2a90b1c3d4",
                seq=17,
                at=AT,
                kind="extended",
                session=SESSION,
                data={"by": "device:Ada's phone"},
            )
        ],
        next=17,
        epoch="6f2a90b1c3d4",
    ),
    service_shapes.SampleSeries(
        success=YES,
        span="hour",
        total=[Sample(at=AT, memory_bytes=412_000_000, cpu_percent=0.4, messages=1, sessions=1)],
        sessions={SESSION: [Sample(at=AT, memory_bytes=412_000_000, cpu_percent=0.4, messages=1)]},
    ),
    session_shapes.FolderList(
        success=YES, folders=[session_shapes.Folder(path=PROJECT, name="project", kind="recent")], roots=["/home/me"]
    ),
    message_shapes.Draft(success=YES, text="And then", at=AT, by="device:Ada's phone"),
    service_shapes.PermissionRules(success=YES, rules=[RULE]),
    service_shapes.OnePermissionRule(success=YES, rule=RULE),
    service_shapes.RecipientList(success=YES, recipients=[RECIPIENT]),
    service_shapes.OneRecipient(success=YES, recipient=RECIPIENT),
    service_shapes.Acknowledged(success=YES),
    service_shapes.Tested(
        success=YES,
        notice=NOTICE,
        accepted=True,
        detail="201",
        milliseconds=180,
        hops=[{"hop": "sent", "at": AT, "ok": True}, {"hop": "accepted", "at": AT + 180, "ok": True}],
    ),
    service_shapes.NoticeList(success=YES, notices=[NOTICE]),
    service_shapes.PushKey(
        success=YES,
        public_key="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    ),
    service_shapes.LinkUsed(success=YES, done="Allow once", session_id=SESSION),
)

_WHEN_THERE = ("duplicate", "permissionMode", "recap", "recapSkipped", "toolCalls", "waiting")
"""Members that are only sent when there is something to say; of a session and a message all are."""


def _as_sent(example: msgspec.Struct) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(example)
    if isinstance(example, MessageView):
        return tree
    return {name: value for name, value in tree.items() if value or name not in _WHEN_THERE}


_BY_SHAPE: Mapping[type[Any], Any] = {type(example): _as_sent(example) for example in _ALL}
_UNDER_WAY = {
    "message": f"The message is accepted. GET /api/messages/{MESSAGE}?wait=60 returns the reply.",
    "state": "queued",
    "queuePosition": 1,
    "content": "",
}


def answer(kind: type[Any], status: int) -> dict[str, Any]:
    """An answer of this shape, as the JSON that a client gets."""
    found: dict[str, Any] = dict(_BY_SHAPE[kind])
    if status == 202:
        found |= {name: value for name, value in _UNDER_WAY.items() if name in found}
        for name in ("reply", "usage", "output"):
            found.pop(name, None)
    return found


SENT_STREAM = (
    'event: accepted\ndata: {"status": 202, "messageId": "m_4c03", "sessionId": "123e4567-e89b-42d3-a456-426614174000"}\n\n'
    'id: 6f2a:17\nevent: text\ndata: {"seq": 17, "kind": "text", "data": {"delta": "BANANA", "index": 0, "final": true, '
    '"promptId": "b7e1", "message": "m_4c03"}}\n\n'
    'id: 6f2a:19\nevent: done\ndata: {"status": 200, "success": true, "state": "answered", "reply": "BANANA"}\n\n'
)
"""What a message sent with `Accept: text/event-stream` is answered with."""

STREAM = (
    'id: 6f2a:17\nevent: text\ndata: {"v": 1, "epoch": "6f2a", "seq": 17, "at": 1795429792000, "kind": "text", "session": '
    '"123e4567-e89b-42d3-a456-426614174000", "data": {"delta": "BANANA", "index": 0, "final": true, "promptId": "b7e1", '
    '"message": "m_4c03"}}\n\n: heartbeat\n\n'
)
OTHERS: Mapping[str, Any] = {
    "application/json": {"openapi": "3.1.0", "info": {"title": "pilotlight", "version": __version__}, "paths": {}},
    "text/html": "<!doctype html>\n<title>pilotlight API</title>\n",
    "text/event-stream": STREAM,
    "text/markdown": "# Fix the build\n\n## You\n\nWhat word did I ask you to remember?\n\n## Claude\n\nBANANA\n",
    "text/plain": '# TYPE pilotlight_sessions gauge\npilotlight_sessions{state="idle"} 1.0\n',
    "application/octet-stream": "…",
    "application/x-asciicast": '{"version": 2, "width": 120, "height": 40, "timestamp": 1795429790}\n[0.5, "o", "> "]\n',
}
"""What is none of our shapes, by its type."""
