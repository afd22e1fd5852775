"""What keeps a process from being put to sleep, as far as the real one cannot be made to show it on demand."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from shared.errors import Conflict
from supervisor.lifecycle import hibernation
from supervisor.lifecycle.hibernation import UNDRAWN_SECONDS, check_can_hibernate
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.options import Remembered


def typed(keyed_ago: float, drawn_ago: float) -> Session:
    """A session at rest, but for keys and for what was drawn so many seconds ago."""
    now = time.monotonic()
    session = SimpleNamespace(
        state=State.IDLE,
        current=None,
        in_background=False,
        attached=0,
        screen_reading=lambda: SimpleNamespace(kind="prompt"),
        record=SimpleNamespace(heard=[], scheduled=[], remembered=Remembered()),
        keyed_at=now - keyed_ago,
        terminal=SimpleNamespace(drawn_at=now - drawn_ago),
    )
    return cast("Session", session)


def test_keys_that_are_not_drawn_yet_may_be_a_draft() -> None:
    with pytest.raises(Conflict, match="not drawn yet"):
        check_can_hibernate(typed(keyed_ago=0.1, drawn_ago=5))
    check_can_hibernate(typed(keyed_ago=0.1, drawn_ago=0.05))
    check_can_hibernate(typed(keyed_ago=UNDRAWN_SECONDS + 1, drawn_ago=60))


def test_a_conversation_that_has_only_begun_keeps_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/clear` begins one that has no transcript until something is said in it."""
    monkeypatch.setattr(hibernation, "has_transcript", lambda _: False)
    session = typed(keyed_ago=60, drawn_ago=60)
    session.record.heard, session.record.remembered = ["p1", "p2"], Remembered(begun_behind="p2")
    check_can_hibernate(session)
    session.record.heard = ["p1", "p2", "p3"]
    with pytest.raises(Conflict, match="transcript does not exist yet"):
        check_can_hibernate(session)
