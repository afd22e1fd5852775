"""A recap, or in a word why there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.bus.operations import recap
from supervisor.state.states import State


class Pool:
    """A pool with one session, which asks nothing of anybody."""

    def __init__(self, waiting: int = 0, known: bool = False) -> None:
        self.asked: list[Any] = []
        asked = SimpleNamespace(key="k", session_id="s", text=recap.PROMPT, body="", kind="prompt", opened_in=None)
        self.store = SimpleNamespace(
            count_open=lambda _: waiting, messages_by_key=lambda names: [asked] if known else []
        )

    def send(self, message: Any, op: str) -> tuple[None, Any, bool]:
        assert op == recap.OP
        self.asked.append(message)
        return None, SimpleNamespace(id="m_1"), False


async def ask(pool: Pool, before: State, message: str, after: State = State.IDLE, key: str | None = "k") -> recap.Recap:
    session = SimpleNamespace(id="s", state=before)

    async def settling(*_: Any) -> Any:
        session.state = after
        return SimpleNamespace(state=message, reply="We spoke.")

    return await recap.ask(cast(Any, pool), cast(Any, session), key, 1.0, settling)


@pytest.mark.parametrize(
    ("message", "after", "expected"),
    [
        ("answered", State.IDLE, recap.Recap(text="We spoke.")),
        ("submitted", State.BUSY, recap.Recap(skipped="timeout")),
        ("submitted", State.WAITING, recap.Recap(skipped="waiting")),
        ("failed", State.IDLE, recap.Recap(skipped="failed")),
        ("interrupted", State.IDLE, recap.Recap(skipped="interrupted")),
    ],
)
async def test_what_becomes_of_the_question(message: str, after: State, expected: recap.Recap) -> None:
    for before in (State.IDLE, State.HIBERNATED):
        pool = Pool()
        assert await ask(pool, before, message, after) == expected
        assert [sent.text for sent in pool.asked] == [recap.PROMPT]


@pytest.mark.parametrize("state", [state for state in State if state not in (State.IDLE, State.HIBERNATED)])
async def test_nothing_is_asked_of_a_session_that_is_not_at_rest(state: State) -> None:
    pool = Pool()
    assert await ask(pool, state, "answered") == recap.Recap(skipped=state)
    assert pool.asked == []


async def test_nothing_is_asked_behind_messages_that_wait() -> None:
    pool = Pool(waiting=1)
    assert await ask(pool, State.IDLE, "answered") == recap.Recap(skipped="busy")
    assert pool.asked == []


async def test_a_repeat_waits_for_the_recap_that_was_asked_for() -> None:
    assert await ask(Pool(waiting=1, known=True), State.BUSY, "answered") == recap.Recap(text="We spoke.")
