"""What keeps a process from being put to sleep, as far as the real one cannot be made to show it on demand."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from shared.errors import Conflict
from supervisor.lifecycle.hibernation import UNDRAWN_SECONDS, check_can_hibernate
from supervisor.session.session import Session
from supervisor.state.states import State


def typed(keyed_ago: float, drawn_ago: float) -> Session:
    """A session at rest, but for keys and for what was drawn so many seconds ago."""
    now = time.monotonic()
    session = SimpleNamespace(
        state=State.IDLE,
        current=None,
        in_background=False,
        attached=0,
        screen_reading=lambda: SimpleNamespace(kind="prompt"),
        record=SimpleNamespace(heard=[], scheduled=[]),
        keyed_at=now - keyed_ago,
        terminal=SimpleNamespace(drawn_at=now - drawn_ago),
    )
    return cast("Session", session)


def test_keys_that_are_not_drawn_yet_may_be_a_draft() -> None:
    with pytest.raises(Conflict, match="not drawn yet"):
        check_can_hibernate(typed(keyed_ago=0.1, drawn_ago=5))
    check_can_hibernate(typed(keyed_ago=0.1, drawn_ago=0.05))
    check_can_hibernate(typed(keyed_ago=UNDRAWN_SECONDS + 1, drawn_ago=60))
