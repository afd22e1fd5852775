"""What Claude has planned to do by itself in one session, kept in its record: what is told of it, whether it keeps the process
up, and when a sleeping session is woken for it.

What must not regress: a task that outlives its process keeps no place among the live ones while it is far off.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.messages import ScheduledTask
from supervisor.claude import schedule
from supervisor.store.records import SessionRecord
from supervisor.store.store import now_ms

LEAD_MS = 120_000
"""How long before a task is due its session is awake: some are done up to 90 s early, and a start may have to wait."""

SOON_MS = 600_000
"""A session whose task is due within this does not fall asleep: it would hardly have slept."""


def tasks(record: SessionRecord) -> list[ScheduledTask]:
    """What is planned."""
    return [msgspec.convert(entry, ScheduledTask) for entry in record.scheduled]


def keep(record: SessionRecord, found: list[ScheduledTask]) -> None:
    record.scheduled = [msgspec.to_builtins(task) for task in found]


def take_stop(record: SessionRecord, payload: dict[str, Any], project: Path) -> None:
    """A Stop hook lists what is planned; releases that do not list it plan nothing that we know of."""
    if isinstance(payload.get("session_crons"), list):
        now = now_ms()
        found = schedule.listed(payload["session_crons"], tasks(record), now)
        known = {task.id for task in found}
        kept = schedule.durable(project, record.conversation_id, now)
        keep(record, [*found, *(task for task in kept if task.id not in known)])


def take_tool(record: SessionRecord, payload: dict[str, Any]) -> None:
    """A tool has made a task, or deleted one: told at once, since no Stop hook lists those of a turn that is interrupted."""
    task, gone = schedule.made(payload, now_ms()), schedule.unmade(payload)
    if task is not None or gone is not None:
        rest = [known for known in tasks(record) if known.id not in (gone, task.id if task is not None else None)]
        keep(record, [*rest, *([task] if task is not None else [])])


def bind_to_process(record: SessionRecord) -> None:
    """The transcript does not make them anew any more: another conversation has begun, or this one was compacted."""
    if record.scheduled:
        keep(record, [msgspec.structs.replace(task, survives_sleep=False) for task in tasks(record)])


def hindrance(record: SessionRecord, brief: bool = False) -> str | None:
    """Why its process may not end now for the sake of what is planned; `brief`: another one follows at once."""
    now = now_ms()
    for task in tasks(record):
        if not task.survives_sleep:
            return f"Claude has planned to go on {_when(task)}, and that would be lost with its process"
        if not brief and task.due_at is not None and task.due_at - now < SOON_MS:
            return f"Claude has planned to go on {_when(task)}"
    return None


def _when(task: ScheduledTask) -> str:
    at = "" if task.due_at is None else time.strftime("at %H:%M on %Y-%m-%d ", time.localtime(task.due_at / 1000))
    return f"{at}({task.schedule})" if task.recurring or not at else at.rstrip()


def wakes_in(record: SessionRecord) -> float | None:
    """Seconds until a sleeping session has to be woken for what is planned; None: for nothing."""
    due = [task.due_at for task in tasks(record) if task.due_at is not None]
    return (min(due) - LEAD_MS - now_ms()) / 1000 if due else None
