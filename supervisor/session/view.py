"""A session as clients see it: its record, and what is known of it while it is in memory. Pure.

A row that has ended is shown by its record alone: nothing of it is read from its folder, and no Session is made for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.bus.messages import Delivery, LastWords, SessionView, Waiting
from shared.config import Config
from supervisor.session import move, scheduled
from supervisor.state import held, lifetime, states
from supervisor.state.states import State
from supervisor.store.options import SETTINGS_CHANGED
from supervisor.store.records import SessionRecord
from supervisor.waiting import backoff


@dataclass(frozen=True)
class Live:
    """What a session in memory knows beyond its record."""

    waiting: Waiting | None = None
    all_waiting: list[Waiting] = field(default_factory=list)
    current: str | None = None
    """The message under way."""

    draft: bool = False
    attached: int = 0
    viewers: int = 0
    writer: str | None = None
    memory_bytes: int | None = None
    cpu_percent: float | None = None
    health: str = "ok"
    reading: str = ""
    """The kind of what the screen shows."""

    obstacle: str | None = None
    """Why the last try to send or to start came to nothing."""


_NOT_IN_MEMORY = Live()
LOGIN_REFUSED = "login_refused"


def delivery_of(record: SessionRecord, config: Config) -> Delivery:
    """How its next message reaches Claude: its own word, or the one for all where it has none."""
    return record.delivery or config.chat.mode  # type: ignore[return-value]


def view_of(record: SessionRecord, config: Config, queue_length: int, known: Live = _NOT_IN_MEMORY) -> SessionView:
    """As clients see it."""
    live = State(record.state) in states.LIVE
    auto = lifetime.keeps_alive(record, config)
    going = move.of(record)
    timeout = lifetime.limit(config, auto) * 1000
    return SessionView(
        id=record.id,
        state=record.state,  # type: ignore[arg-type]
        project_path=record.project_path,
        created_at=record.created_at,
        last_activity=record.last_activity,
        message_count=record.message_count,
        queue_length=queue_length,
        waiting=known.waiting,
        all_waiting=known.all_waiting,
        title=record.title,
        conversation_id=record.conversation_id,
        pid=record.child[0] if live and record.child else None,
        holder_pid=record.holder[0] if live and record.holder else None,
        generation=record.generation,
        expires_at=None if record.state == State.ENDED else int(record.last_activity + timeout),
        ended_at=record.ended_at,
        end_reason=record.end_reason,  # type: ignore[arg-type]
        end_detail=record.end_detail,
        current_message=known.current,
        background_tasks=record.background if live else [],
        scheduled=scheduled.tasks(record),
        draft=known.draft,
        attached=known.attached,
        viewers=known.viewers,
        writer=known.writer,
        warned=record.warned,
        auto_keep_alive=auto,
        delivery=delivery_of(record, config),
        memory_bytes=known.memory_bytes if live else None,
        cpu_percent=known.cpu_percent if live else None,
        claude_version=record.process.release if live else None,
        model=record.launch.model,
        permission_mode=record.launch.permission_mode,
        effort=record.launch.effort,
        add_dirs=list(record.launch.add_dirs),
        settings_pending=live and record.process.stale == SETTINGS_CHANGED,
        health=_health(record, known.health),
        held=f"It is being moved to {going.to}; the queue goes along."
        if going is not None and going.moved_to is None
        else held.why(
            State(record.state),
            queue_length,
            asked=known.waiting,
            reading=known.reading,
            current=known.current is not None,
            obstacle=known.obstacle,
            failures=record.failures,
        ),
        trust=record.trust,
        last_words=LastWords(**record.last_words) if record.last_words else None,
        seen_at=record.seen_at,
        moving_to=going.to if going is not None and going.moved_to is None else None,
        moved_to=going.moved_to if going is not None else None,
    )


def _health(record: SessionRecord, worst: str) -> str:
    return LOGIN_REFUSED if worst == "ok" and wants_login(record) else worst


def wants_login(record: SessionRecord, asked: Waiting | None = None) -> bool:
    """Whether Claude says that it has no login, or its service did not accept it when it was last asked. That is so behind the
    pause of a refusal, too, and while the session sleeps, until the service has answered."""
    refused = record.state != State.ENDED and backoff.is_login_refused(record)
    return refused or (asked is not None and asked.kind == "login")
