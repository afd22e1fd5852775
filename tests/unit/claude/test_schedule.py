"""What Claude has planned: cron expressions, and what its hooks list."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from shared.bus.messages import ScheduledTask
from supervisor.claude.schedule import durable, listed, made, next_due, unmade


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOW = ms("2026-11-28T19:37:20")  # a Saturday


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * *", "2026-11-28T19:38:00"),
        ("*/15 * * * *", "2026-11-28T19:45:00"),
        ("0 3 * * *", "2026-11-29T03:00:00"),
        ("36 20 * * *", "2026-11-28T20:36:00"),
        ("0 9-17/4 * * 1-5", "2026-11-30T09:00:00"),
        ("0 0 13 * 7", "2026-11-29T00:00:00"),  # one of the two, as in crontab(5)
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        ("5,50 19 * * *", "2026-11-28T19:50:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:00"),
    ],
)
def test_a_schedule_is_due_when_it_says(schedule: str, due: str) -> None:
    assert next_due(schedule, NOW) == ms(due)


@pytest.mark.parametrize(
    "schedule", ["", "* * * *", "61 * * * *", "a * * * *", "*/0 * * * *", "0 0 31 2 *", "5-1 * * * *"]
)
def test_a_schedule_that_says_nothing_has_no_time(schedule: str) -> None:
    assert next_due(schedule, NOW) is None


CREATED = {
    "tool_name": "CronCreate",
    "tool_input": {"cron": "0 3 * * *", "prompt": "x" * 300, "recurring": True},
    "tool_response": {"id": "d8ec0786", "humanSchedule": "Every day at 3:00 AM", "recurring": True, "durable": False},
}
LISTED = [
    {"id": "d8ec0786", "schedule": "0 3 * * *", "recurring": True, "prompt": "x" * 300},
    {"id": "7e567188", "schedule": "36 19 * * *", "recurring": False, "prompt": "/loop check"},
]


def test_what_was_seen_to_be_made_outlives_its_process_and_a_wake_up_does_not() -> None:
    first = made(CREATED, NOW)
    assert first is not None
    assert first.survives_sleep
    assert len(first.prompt) == 200
    cron, wake_up = listed(LISTED, [first], NOW)
    assert (cron.survives_sleep, cron.due_at) == (True, ms("2026-11-29T03:00:00"))
    assert (wake_up.survives_sleep, wake_up.recurring) == (False, False)
    assert made({"tool_name": "ScheduleWakeup", "tool_input": {}, "tool_response": {"scheduledFor": 1}}, NOW) is None
    assert unmade({"tool_name": "CronDelete", "tool_response": {"id": "d8ec0786"}}) == "d8ec0786"
    assert unmade(CREATED) is None


def test_the_time_of_what_is_done_once_does_not_move_to_the_next_day_by_being_listed_again() -> None:
    (_, before) = listed(LISTED, [], NOW - 3_600_000)
    (_, again) = listed(LISTED, [before], NOW)
    assert again.due_at == before.due_at == ms("2026-11-28T19:36:00")


@pytest.mark.parametrize("told", [None, 5, [None, {"id": 5}, {}], {"id": "x"}])
def test_what_is_no_list_of_tasks_lists_none(told: object) -> None:
    assert listed(told, [ScheduledTask("a", "* * * * *", True, "p")], NOW) == []


def test_a_durable_task_stands_in_the_projects_file(tmp_path: Path) -> None:
    assert durable(tmp_path, "c1", NOW) == []
    entry = {"id": "499111a4", "cron": "0 3 * * *", "prompt": "echo", "recurring": True}
    (tmp_path / ".claude").mkdir()
    file = tmp_path / ".claude" / "scheduled_tasks.json"
    tasks = [{**entry, "createdBySessionId": "c1"}, {**entry, "id": "b", "createdBySessionId": "c2"}]
    file.write_text(json.dumps({"tasks": tasks}))
    (task,) = durable(tmp_path, "c1", NOW)
    assert (task.id, task.survives_sleep, task.recurring) == ("499111a4", True, True)
    file.write_text("{")
    assert durable(tmp_path, "c1", NOW) == []
