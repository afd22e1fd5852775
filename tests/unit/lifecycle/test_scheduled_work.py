"""What Claude has planned keeps its process, wakes it, and is not lost in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from shared import paths
from shared.bus.messages import ScheduledTask
from shared.config import Config
from supervisor.lifecycle import scheduled_work
from supervisor.pool.managed_session import ManagedSession
from supervisor.session import scheduled
from supervisor.session.session import Services, Session
from supervisor.store.store import SessionRecord, Store, now_ms

MINUTE = 60_000


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    places = paths.resolve({"PILOTLIGHT_HOME": str(tmp_path)})
    store = Store(places.database)
    (places.session_dir("s") / "spool").mkdir(parents=True)
    record = SessionRecord("s", str(tmp_path), 0, 0, "idle", "c", 1)
    store.save_session(record)
    made = Session(record, Services(store, places, Config, {}, tmp_path, logging.getLogger("test")))
    ManagedSession(made, cast(Any, SimpleNamespace(admit=None)), lambda: None)
    yield made
    store.close()


def plan(session: Session, due: int | None, survives: bool, recurring: bool = False, name: str = "t") -> None:
    task = ScheduledTask(name, "0 3 * * *", recurring, "words", None if due is None else now_ms() + due, survives)
    session.record.scheduled = [*session.record.scheduled, msgspec.to_builtins(task)]


def lost(session: Session) -> list[tuple[str, list[Any]]]:
    events = [event for event in session.store.events(0, 100, None, ["scheduled_lost"])]
    return [(event.data["cause"], [task["id"] for task in event.data["tasks"]]) for event in events]


def test_what_would_be_lost_or_is_due_soon_keeps_the_process(session: Session) -> None:
    assert scheduled.hindrance(session.record) is None
    plan(session, 600 * MINUTE, survives=True)
    assert scheduled.hindrance(session.record) is None
    assert session.counts_as_active()
    plan(session, 5 * MINUTE, survives=True, name="soon")
    assert "planned to go on at" in (scheduled.hindrance(session.record) or "")
    assert scheduled.hindrance(session.record, brief=True) is None
    plan(session, 600 * MINUTE, survives=False, name="wake-up")
    assert "would be lost" in (scheduled.hindrance(session.record, brief=True) or "")


def test_the_end_of_the_process_tells_what_is_lost_with_it(session: Session) -> None:
    plan(session, 600 * MINUTE, survives=True)
    plan(session, 600 * MINUTE, survives=False, name="wake-up")
    scheduled_work.process_ends(session, "crashed")
    assert lost(session) == [("crashed", ["wake-up"])]
    assert [task.id for task in scheduled.tasks(session.record)] == ["t"]
    scheduled_work.process_ends(session, "killed", every=True)
    assert lost(session)[1:] == [("killed", ["t"])]
    assert not session.counts_as_active()


def test_a_sleeping_session_is_woken_before_the_first_is_due(session: Session) -> None:
    assert scheduled.wakes_in(session.record) is None
    session.record.state = "hibernated"
    plan(session, 60 * MINUTE, survives=True)
    plan(session, 30 * MINUTE, survives=True, name="first")
    assert 27 * 60 < (scheduled.wakes_in(session.record) or 0) < 29 * 60
    assert session.counts_as_active()  # so it does not expire before


def test_what_came_due_while_nobody_was_there_is_told_and_what_recurs_has_another_time(session: Session) -> None:
    session.record.state = "hibernated"
    plan(session, -5 * MINUTE, survives=True, name="once")
    plan(session, -5 * MINUTE, survives=True, recurring=True, name="daily")
    scheduled_work.overlook(session)
    assert lost(session) == [("missed", ["once"])]
    (task,) = scheduled.tasks(session.record)
    assert task.due_at is not None
    assert task.due_at > now_ms()


def test_what_an_idle_claude_has_not_done_is_not_awaited_for_ever(session: Session) -> None:
    plan(session, -5 * MINUTE, survives=False)
    scheduled_work.overlook(session)
    assert lost(session) == []
    plan(session, -40 * MINUTE, survives=False, recurring=True, name="over")
    scheduled_work.overlook(session)
    assert lost(session) == [("not_done", ["over"])]


def test_another_conversation_or_a_compaction_binds_what_is_planned_to_the_process(session: Session) -> None:
    plan(session, 600 * MINUTE, survives=True)
    scheduled.bind_to_process(session.record)
    assert not scheduled.tasks(session.record)[0].survives_sleep


def test_what_comes_again_is_told_as_missed_where_nothing_is_woken_for_it(session: Session) -> None:
    session.record.state = "hibernated"
    plan(session, -MINUTE, survives=True, recurring=True)
    scheduled_work.overlook(session)
    assert lost(session) == []
    assert (scheduled.tasks(session.record)[0].due_at or 0) > now_ms()
    assert scheduled_work.may_wake(session)

    session.record.delivery, session.record.scheduled = "per_message", []
    plan(session, -MINUTE, survives=True, recurring=True)
    scheduled_work.overlook(session)
    assert lost(session) == [("missed", ["t"])]
    assert not scheduled_work.may_wake(session)
