"""What becomes of the tasks that Claude has planned, when the process ends or their time is over.

What must not regress: a task is never lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shared.bus import trouble_events
from shared.bus.messages import ScheduledTask
from supervisor.claude import schedule
from supervisor.session import scheduled
from supervisor.session.session import Session
from supervisor.store.store import now_ms

LATE_MS = 1_800_000
"""How long behind its time a task is still awaited in an idle session: the CLI may put it off by a quarter of an hour."""


def may_wake(session: Session) -> bool:
    """Whether it sleeps and is woken for what is planned: a process for one message would do nothing else."""
    return not session.live and not session.per_message


def process_ends(session: Session, cause: str, every: bool = False) -> None:
    """Its process has ended: what it had planned is lost, and told, but for what the next one makes anew; with `every`, all."""

    def lost(task: ScheduledTask) -> bool:
        return every or not task.survives_sleep

    _lose(session, cause, lost)


def overlook(session: Session) -> None:
    """In a session that is idle, or asleep, a task whose time is long over is not done any more; a recurring one has another
    time as long as its process sleeps and can be woken."""
    now, record = now_ms(), session.record
    if not session.live:
        again = [
            msgspec.structs.replace(task, due_at=schedule.next_due(task.schedule, now))
            if may_wake(session) and task.recurring and task.due_at is not None and task.due_at < now
            else task
            for task in scheduled.tasks(record)
        ]
        if again != scheduled.tasks(record):
            with session.change():
                scheduled.keep(record, again)
                session.store.save_session(record)
        _lose(session, "missed", lambda task: task.due_at is not None and task.due_at < now)
    else:
        _lose(session, "not_done", lambda task: task.due_at is not None and task.due_at + LATE_MS < now)


def _lose(session: Session, cause: str, lost: Callable[[ScheduledTask], bool]) -> None:
    record = session.record
    gone = [task for task in scheduled.tasks(record) if lost(task)]
    if gone:
        with session.change():
            scheduled.keep(record, [task for task in scheduled.tasks(record) if task not in gone])
            session.store.save_session(record)
            said = [msgspec.to_builtins(task) for task in gone]
            session.store.append(trouble_events.ScheduledLost(tasks=said, cause=cause), session.id)
