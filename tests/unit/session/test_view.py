"""A session that has ended is shown by its row alone, as the session itself would show it."""

from __future__ import annotations

from pathlib import Path

from shared.bus.messages import Waiting
from shared.config import Config
from supervisor.session.session import Session
from supervisor.session.view import LOGIN_REFUSED, Live, view_of, wants_login
from supervisor.store.records import SessionRecord
from supervisor.store.store import Store
from supervisor.waiting import backoff
from tests.unit.observation.claude_lab import Claude


def row(state: str) -> SessionRecord:
    record = SessionRecord("s", "/p", 1, 2, state, "c", 3, ended_at=4, title="T", end_reason="killed")
    record.child, record.holder, record.background = [12, 1], [13, 1], [{"id": "b"}]
    return record


def test_an_ended_row_is_shown_as_its_session_would_show_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "pilotlight.db")
    session = Session(row("ended"), Claude(tmp_path, store).session.services)
    assert view_of(session.record, Config(), store.count_open("s")) == session.view()
    store.close()


def test_what_is_true_of_a_process_is_not_shown_without_one() -> None:
    known = Live(waiting=Waiting("w", "dialog", "?", "?", [], 1), memory_bytes=5, cpu_percent=1.0, health="stuck")
    live, asleep = (view_of(row(state), Config(), 7, known) for state in ("waiting", "hibernated"))
    assert (live.pid, live.holder_pid, live.memory_bytes, live.background_tasks) == (12, 13, 5, [{"id": "b"}])
    assert (asleep.pid, asleep.holder_pid, asleep.memory_bytes, asleep.background_tasks) == (None, None, None, [])
    assert (live.queue_length, live.health, live.waiting) == (7, "stuck", known.waiting)
    assert view_of(row("ended"), Config(), 0).expires_at is None


def test_a_login_that_was_refused_is_told_until_the_service_has_answered() -> None:
    record = row("idle")
    hold = backoff.after_failure(record, "authentication_failed", "OAuth token has expired", 0.0)
    assert hold is not None
    backoff.begin(record, hold)
    backoff.lift(record)  # the pause is over, and nothing has been asked since
    assert view_of(record, Config(), 0).health == LOGIN_REFUSED
    assert view_of(record, Config(), 0, Live(health="stuck")).health == "stuck"
    record.state = "hibernated"
    assert (view_of(record, Config(), 0).health, wants_login(record)) == (LOGIN_REFUSED, True)
    record.state = "ended"
    assert view_of(record, Config(), 0).health == "ok"
    record.state = "idle"
    backoff.forgive(record)
    assert (view_of(record, Config(), 0).health, wants_login(record)) == ("ok", False)
    assert wants_login(record, Waiting("w", "login", "?", "?", [], 1))


def test_an_overloaded_service_says_nothing_of_the_login() -> None:
    record = row("idle")
    hold = backoff.after_failure(record, "overloaded", "no", 0.0)
    assert hold is not None
    backoff.begin(record, hold)
    assert view_of(record, Config(), 0).health == "ok"
