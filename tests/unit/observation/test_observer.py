"""What counts as asked: the request that a hook has told, or the dialog on the screen when no hook explains it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from shared.bus.messages import Waiting
from supervisor.observation.observer import HOOK_LAG_SECONDS, Observer
from supervisor.state.states import State, StateEvent
from supervisor.store.options import Remembered
from supervisor.waiting.waiting import Permission
from tests.unit.claude.test_screen import seen


class Watched(SimpleNamespace):
    """As much of a session as an observer looks at, with a dialog of Claude's on its screen."""

    def __init__(self, **known: Any) -> None:
        record = SimpleNamespace(
            child=None,
            turn_prompt=None,
            ready_once=True,
            generation=1,
            asked=None,
            remembered=Remembered(),
            held_until=None,
        )
        screen = SimpleNamespace(size=(120, 40))
        terminal = SimpleNamespace(
            settled=True, screen=screen, screen_reading=lambda: seen("2.1.330", "permission-bash")
        )
        super().__init__(
            state=State.BUSY,
            terminal=terminal,
            record=record,
            logs=SimpleNamespace(stopped_at=0),
            status=None,
            responsive=True,
            waiting=None,
            filled=None,
            permissions=SimpleNamespace(pending=[]),
            shown=None,
            beside=[],
            attached=0,
            session_started=True,
            current=None,
            **known,
        )
        self.asked: list[Waiting] = []
        self.events: list[str] = []

    def apply(self, event: str, cause: str, waiting: Waiting | None) -> None:
        self.events.append(event)
        if waiting is not None:
            self.asked.append(waiting)


def asked(session: Watched, *times: float) -> list[str]:
    """What it is found to wait for by looks at these times."""
    observer = Observer(session)  # type: ignore[arg-type]
    for now in times:
        observer.look(now)
    return [waiting.kind for waiting in session.asked]


def test_a_dialog_in_a_turn_is_left_to_its_hook_for_a_while_also_before_the_turns_own_hook() -> None:
    turn = Watched()
    turn.record.turn_prompt = "p1"
    assert asked(turn, 10.0, 10.0 + HOOK_LAG_SECONDS - 0.1) == []
    for state in ("typed", "submitted"):
        early = Watched()
        early.current = SimpleNamespace(kind="prompt", state=state)
        assert asked(early, 10.0, 10.0 + HOOK_LAG_SECONDS - 0.1) == [], state
    late = Watched()
    late.current = SimpleNamespace(kind="prompt", state="submitted")
    looks = [10.0 + HOOK_LAG_SECONDS * part / 8 for part in range(9)]
    assert asked(late, *looks) == ["permission"]
    assert set(late.events) == {StateEvent.WORKING, StateEvent.ASKING}  # and never lost from sight


def test_a_dialog_that_no_hook_will_explain_is_asked_at_once() -> None:
    assert asked(Watched(), 10.0) == ["permission"]
    command = Watched()
    command.current = SimpleNamespace(kind="command", state="submitted")
    assert asked(command, 10.0) == ["permission"]
    starting = Watched()
    starting.session_started = False
    starting.current = SimpleNamespace(kind="prompt", state="queued")
    assert asked(starting, 10.0) == ["permission"]


def test_each_dialog_of_a_turn_is_given_time_for_its_hook() -> None:
    session = Watched()
    session.record.turn_prompt = "p1"
    observer = Observer(session)  # type: ignore[arg-type]
    screen_reading = session.terminal.screen_reading()
    assert observer._asked(screen_reading, 100.0) is None
    session.permissions.pending = [Permission.from_hook(Path("nowhere"), {"tool_name": "Bash"})]
    told = observer._asked(screen_reading, 101.0)
    assert told is not None
    assert told.id == session.permissions.pending[0].id
    session.permissions.pending = []  # answered, and the next dialog is up already
    assert observer._asked(screen_reading, 110.0) is None
    assert observer._asked(screen_reading, 110.0 + HOOK_LAG_SECONDS) is not None


def test_a_dialog_that_was_told_before_a_restart_is_told_at_once() -> None:
    before = Watched()
    before.record.turn_prompt = "p1"
    asked(before, 10.0, 10.0 + HOOK_LAG_SECONDS)
    after = Watched()
    after.record.turn_prompt = "p1"
    after.record.asked = before.asked[0].id
    look = (before.shown.screen_reading.digest, None)
    after.record.remembered = msgspec.structs.replace(before.record.remembered, asked_look=look)
    assert asked(after, 50.0) == ["permission"]
