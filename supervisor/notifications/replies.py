"""Replies pushed to a client that left a device token with its message, as the legacy server did: through Apple only."""

from __future__ import annotations

from supervisor.notifications.channels.contract import Note
from supervisor.store.records import MessageRecord

REPLY_TTL = 7 * 86_400


def reply_note(record: MessageRecord, project: str, node: str, now: int) -> Note:
    """What is pushed when a message is settled. The channel shortens the text to what Apple takes; the whole is at `fetch`."""
    error = str((record.error or {}).get("message") or "")
    answered = record.state == "answered"
    text = (record.reply or "") if answered else error or f"The message was {record.state}."
    name = project.rstrip("/").rpartition("/")[2] or "Claude"
    return Note(
        key=f"{node}:{record.id}",
        kind="reply",
        tag=f"reply:{record.id}",
        title=name if answered else f"{name}: not answered",
        body=text,
        at=now,
        session=record.session_id,
        ttl=REPLY_TTL,
        reply={
            "messageId": record.id,
            "sessionId": record.session_id,
            "requestId": record.key or record.request_key,
            "projectPath": project,
            "success": answered,
            "state": record.state,
            "timestamp": now,
            "fetch": f"/api/messages/{record.id}",
        },
    )
