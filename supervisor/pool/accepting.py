"""A message as it is accepted: all that is stored of it, in one synced transaction, with who has sent it in the journal.

What must not regress: nothing is acknowledged that is not on the disk; who sent it is told when its session is known.
"""

from __future__ import annotations

import uuid

from msgspec import UNSET, UnsetType

from shared.bus import message_events, service_events
from shared.bus.message_requests import SendMessage
from shared.bus.messages import MessageKind
from supervisor.claude.texts import normalization
from supervisor.session import attachments
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord, Store, now_ms


def record_of(
    session: Session, request: SendMessage, typed: normalization.Prepared | None, kind: MessageKind
) -> MessageRecord:
    """What is stored of a message; `typed` is a prompt as Claude is given it."""
    now = now_ms()
    changes = typed.changes if typed is not None else []
    return MessageRecord(
        id=f"m_{uuid.uuid4().hex}",
        session_id=session.id,
        state="queued",
        rank=0.0,
        text=request.text,
        prompt=typed.prompt if typed is not None else request.text,
        typed=typed.text if typed is not None and changes else None,
        normalized=changes,
        created_at=now,
        steps={"accepted": now, "queued": now},
        kind=kind,
        mode=request.mode,
        confined=request.confined,
    )


def accept(
    session: Session,
    request: SendMessage,
    record: MessageRecord,
    staged: attachments.Staged | None,
    told: dict[str, str] | None,
) -> None:
    """Keep a message, with its files and who has sent it."""
    store = session.store
    if request.front or request.interrupt:
        # Never 0, which asks the store for a place at the end.
        record.rank = min(0.0, store.index.lowest_rank(session.id) or 0.0) - 1.0
    if staged is not None:
        folder = staged.move(session.dir, record.id)
        record.attachments = [file.view(folder) for file in staged.files]
        record.prompt += attachments.suffix(folder, staged.files)
    with session.change(durable=True):
        store.add_message(record)
        session.record.message_count += 1
        session.touch()
        store.save_session(session.record)
        audit(store, record, told)
        for state in ("accepted", "queued"):
            store.append(message_events.MessageStep(message=record.id, state=state, at=record.created_at), session.id)


def audit(
    store: Store, record: MessageRecord, told: dict[str, str] | None, duplicate: bool | UnsetType = UNSET
) -> None:
    """Say who has sent it, if that is to be told."""
    if told is not None:
        owner = record.session_id
        said = service_events.Audit(
            op=told["op"], actor=told["actor"], session=owner, message=record.id, duplicate=duplicate
        )
        store.append(said, owner)
