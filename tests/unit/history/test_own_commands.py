"""A command in a transcript is ours when text and time say so, and a person's otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from shared.bus.messages import HistoryEntry
from supervisor.history.own_commands import LATE_MS, own_command
from supervisor.store.store import MessageRecord


def command(**steps: int) -> MessageRecord:
    return MessageRecord(
        id="m_1",
        session_id="s",
        text="/compact",
        prompt="/compact",
        created_at=1,
        rank=1.0,
        kind="command",
        state="answered",
        steps=steps,
    )


def entry(at: int | None, text: str = "/compact", **more: Any) -> HistoryEntry:
    return HistoryEntry(id="e", role="command", text=text, at=at, **{"source": "terminal", **more})


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        (entry(150), True),
        (entry(200 + LATE_MS), True),
        (entry(99), False),
        (entry(201 + LATE_MS), False),
        (entry(None), False),
        (entry(150, "/clear"), False),
        (entry(150, source="claude"), False),
    ],
)
def test_text_and_time_say_whose_it_is(told: HistoryEntry, ours: bool) -> None:
    assert (own_command(told, [command(accepted=90, typed=100, answered=200)]) is not None) is ours


def test_one_that_was_never_typed_is_in_no_transcript_and_one_under_way_is() -> None:
    assert own_command(entry(150), [command(accepted=90, cancelled=120)]) is None
    assert own_command(entry(10**9), [command(accepted=90, typed=100)]) is not None
