"""Whoever waits is told for what."""

from __future__ import annotations

from itertools import product

import pytest

from shared.bus.messages import Waiting
from supervisor.state.held import why
from supervisor.state.states import State

ASKED = Waiting(id="w", kind="permission", title="Claude asks to use Bash", text="")
READINGS = ("", "prompt", "blank", "draft", "editor", "menu", "notice", "other")


def held(state: State, waits: int = 1, **known: object) -> str | None:
    """With nothing in the way unless it is named."""
    given = {"asked": None, "reading": "prompt", "current": False, "obstacle": None, "failures": 0, **known}
    return why(state, waits, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"state": State.WAITING, "asked": ASKED}, "waits for an answer: Claude asks to use Bash"),
        ({"state": State.IDLE, "reading": "draft"}, "begun to write in the prompt box"),
        ({"state": State.IDLE, "reading": "blank"}, "terminal is too small"),
        ({"state": State.UNKNOWN}, "not recognised"),
        ({"state": State.HIBERNATED, "failures": 3}, "died 3 times in a row"),
        ({"state": State.HIBERNATED, "obstacle": "All 10 places are taken."}, "All 10 places are taken."),
        ({"state": State.IDLE, "obstacle": "The turn at the terminal goes on."}, "The turn at the terminal goes on."),
    ],
    ids=str,
)
def test_the_reason_is_said(known: dict[str, object], said: str) -> None:
    told = held(**known)  # type: ignore[arg-type]
    assert told is not None
    assert said in told


@pytest.mark.parametrize(("state", "reading"), list(product(State, READINGS)))
def test_of_an_empty_queue_and_of_one_that_moves_nothing_is_said(state: State, reading: str) -> None:
    assert held(state, 0, reading=reading, obstacle="x", failures=2) is None
    assert held(state, reading=reading, obstacle="x", current=True) is None
    assert held(State.IDLE, reading="prompt", failures=2) is None
