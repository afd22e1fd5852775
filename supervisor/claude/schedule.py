"""What Claude has planned to do by itself, as the CLI tells of it: pure, but for the one file that it keeps in the project.

CronCreate, ScheduleWakeup and `/loop` live in the process; the Stop hook lists them (`session_crons`). What was made with
CronCreate is made anew by `--resume` from the transcript, on 2.1.197 not behind a compaction; a wake-up is not. Those that are
`durable` stand in the project's `.claude/scheduled_tasks.json` instead, and are done by any `claude` there. A task is done when
Claude is idle, up to 90 s before it is due if it is to be done once. What must not regress: what is not known to outlive its
process counts as lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.messages import ScheduledTask
from shared.claude_names import HOME_FOLDER
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude.tools import CRON_CREATE, CRON_DELETE

FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Minute, hour, day of the month, month, day of the week (0 and 7: Sunday), in the time of the machine."""

LOOK_AHEAD_DAYS = 366 * 4
PROMPT_LENGTH = 200
MOST = 50
"""Tasks that are remembered of a session: the CLI itself has a limit of the same kind."""


def listed(told: object, known: Iterable[ScheduledTask], now_ms: int) -> list[ScheduledTask]:
    """The tasks that a Stop hook lists; `known` are those that were listed before or seen to be made."""
    before = {task.id: task for task in known}
    found = []
    for entry in told if isinstance(told, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            task = _task(entry, str(entry.get("schedule", "")), now_ms)
            old = before.get(task.id)
            if old is not None:
                due = old.due_at if not old.recurring and old.schedule == task.schedule else task.due_at
                task = msgspec.structs.replace(task, survives_sleep=old.survives_sleep, due_at=due)
            found.append(task)
    return found[:MOST]


def made(payload: dict[str, Any], now_ms: int) -> ScheduledTask | None:
    """The task that a PostToolUse hook tells to be made, one that outlives its process; None when it is not of that kind."""
    answer, given = payload.get("tool_response"), payload.get("tool_input")
    if payload.get("tool_name") != CRON_CREATE or not isinstance(answer, dict) or not isinstance(given, dict):
        return None
    if not isinstance(answer.get("id"), str):
        return None
    entry = {**given, "id": answer["id"], "recurring": answer.get("recurring", given.get("recurring"))}
    task = _task(entry, str(given.get("cron", "")), now_ms)
    return msgspec.structs.replace(task, survives_sleep=True)


def unmade(payload: dict[str, Any]) -> str | None:
    """The id of the task that a PostToolUse hook tells to be deleted."""
    answer = payload.get("tool_response")
    if payload.get("tool_name") != CRON_DELETE or not isinstance(answer, dict):
        return None
    return answer.get("id") if isinstance(answer.get("id"), str) else None


def durable(project: Path, conversation: str, now_ms: int) -> list[ScheduledTask]:
    """The tasks of this conversation that the project's own file keeps."""
    try:
        tree = msgspec.json.decode(read_foreign(project / HOME_FOLDER / "scheduled_tasks.json", SMALL, follow=True))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []
    tasks = tree.get("tasks") if isinstance(tree, dict) else None
    found = []
    for entry in tasks if isinstance(tasks, list) else []:
        if isinstance(entry, dict) and entry.get("createdBySessionId") == conversation:
            task = _task(entry, str(entry.get("cron", "")), now_ms)
            found.append(msgspec.structs.replace(task, survives_sleep=True))
    return found[:MOST]


def _task(entry: dict[str, Any], schedule: str, now_ms: int) -> ScheduledTask:
    prompt = str(entry.get("prompt", ""))
    return ScheduledTask(
        id=str(entry.get("id")),
        schedule=schedule[:PROMPT_LENGTH],
        recurring=entry.get("recurring") is True,
        prompt=prompt if len(prompt) <= PROMPT_LENGTH else prompt[: PROMPT_LENGTH - 1] + "…",
        due_at=next_due(schedule, now_ms),
    )


def next_due(schedule: str, after_ms: int) -> int | None:
    """When a cron expression of five fields is due next (ms since the epoch); None when that cannot be told."""
    words = schedule.split()
    if len(words) != len(FIELDS):
        return None
    try:
        minutes, hours, days, months, weekdays = (
            _values(word, low, high) for word, (low, high) in zip(words, FIELDS, strict=True)
        )
    except ValueError:
        return None
    weekdays = {day % 7 for day in weekdays}
    start = datetime.fromtimestamp(after_ms / 1000).replace(second=0, microsecond=0) + timedelta(minutes=1)
    any_day, any_weekday = words[2] == "*", words[4] == "*"
    for day in _days(start):
        of_month, of_week = day.day in days, day.isoweekday() % 7 in weekdays
        fits = of_month and of_week if any_day or any_weekday else of_month or of_week
        if day.month in months and fits:
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    at = day.replace(hour=hour, minute=minute)
                    if at >= start:
                        return int(time.mktime(at.timetuple()) * 1000)
    return None


def _days(start: datetime) -> Iterator[datetime]:
    midnight = start.replace(hour=0, minute=0)
    return (midnight + timedelta(days=count) for count in range(LOOK_AHEAD_DAYS))


def _values(word: str, low: int, high: int) -> set[int]:
    """What one field stands for. Raise ValueError."""
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        every = int(step) if step else 1
        if span == "*":
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = int(begin)
            last = int(end) if end else (high if step else first)
        if every < 1 or not low <= first <= last <= high:
            raise ValueError(word)
        found.update(range(first, last + 1, every))
    return found
