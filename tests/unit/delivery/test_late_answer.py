"""A late answer is told who was first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from shared.bus import session_events
from supervisor.delivery.late_answer import too_late
from supervisor.session.session import Session
from supervisor.store.store import Store


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return cast(Session, SimpleNamespace(id="s", store=Store(tmp_path / "db")))


def test_a_late_answer_names_who_answered_and_how(session: Session) -> None:
    session.store.append(
        session_events.Answered(id="w1", for_="permission", by="device:Ada’s phone", decision="allow"), "s"
    )
    for number in range(3):
        session.store.append(session_events.Answered(id=f"x{number}", for_="dialog", by="cli", choice="1"), "s")
    late = too_late(session, "w1")
    assert (late.status, late.error_code) == (409, "already_answered")
    assert late.message == "It was answered already, by device:Ada’s phone (allow)."
    assert (late.data["answeredBy"], late.data["answer"]) == ("device:Ada’s phone", "allow")


def test_what_nobody_answered_here_has_a_cause_and_no_name(session: Session) -> None:
    session.store.append(session_events.WaitingExpired(id="w1", for_="permission", cause="terminal"), "s")
    assert (too_late(session, "w1").data["answeredBy"], too_late(session, "w1").data["cause"]) == (None, "terminal")
    for unknown in ("w2", None):
        assert too_late(session, unknown).data == {}
