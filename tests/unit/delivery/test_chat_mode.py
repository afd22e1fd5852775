"""The mode of a chat: what it makes of a session's permission mode, and what it leaves alone."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.delivery import chat_mode
from supervisor.lifecycle import recycling
from supervisor.store.options import Intent, LaunchOptions, ProcessFacts


class Sessions:
    """One session with these options, of which nothing but the options is looked at."""

    def __init__(self, live: bool = True, **options: Any) -> None:
        mode_now = options.pop("mode_now", None)
        self.record = SimpleNamespace(
            launch=LaunchOptions(**options), process=ProcessFacts(mode_now=mode_now), intent=Intent()
        )
        self.live = live
        self.id = "s"
        self.events: list[Any] = []
        self.change = nullcontext
        self.store = SimpleNamespace(
            transaction=nullcontext, save_session=lambda _: None, append=lambda *told: self.events.append(told)
        )

    def process(self) -> None:
        """It gets a process with the present options."""
        self.record.process = ProcessFacts(mode_now=self.record.launch.permission_mode)
        self.live = True

    def send(self, mode: str | None) -> bool:
        """A message of this mode; whether its process had to be replaced."""
        if not self.live:
            chat_mode.take(cast(Any, self), mode)
            self.process()
        if wanted := chat_mode.wanting(cast(Any, self.record), self.live, mode):
            chat_mode.take(cast(Any, self), mode)
            self.process()
        assert not chat_mode.wanting(cast(Any, self.record), self.live, mode)
        return wanted

    def choose(self, mode: str | None) -> None:
        """As `session.update` does."""
        recycling.change(cast(Any, self), {"permission_mode": mode})
        self.process()

    @property
    def mode(self) -> str | None:
        return cast("str | None", self.record.launch.permission_mode)


@pytest.mark.parametrize("before", [None, "acceptEdits", "bypassPermissions"])
@pytest.mark.parametrize("end", ["normal", "code"])
def test_planning_is_undone_by_the_next_other_mode_to_what_was_before(before: str | None, end: str) -> None:
    session = Sessions(**({"permission_mode": before, "mode_now": before} if before else {}))
    assert not session.send("normal")
    assert session.send("planning")
    assert session.mode == "plan"
    assert not session.send("planning")
    assert not session.send(None)
    assert session.mode == "plan"
    assert session.send(end)
    assert session.mode == before
    assert not session.send(end)
    assert session.record.intent.planned is None


def test_a_session_that_sleeps_wakes_in_the_mode_of_its_message() -> None:
    session = Sessions(live=False)
    assert not session.send("planning")
    assert session.mode == "plan"
    session.live = False
    assert not session.send("normal")
    assert session.mode is None


@pytest.mark.parametrize("chosen", ["plan", "acceptEdits", None])
def test_what_somebody_has_chosen_is_never_undone(chosen: str | None) -> None:
    session = Sessions()
    session.send("planning")
    session.choose(chosen)
    assert not session.send("normal")
    assert session.mode == chosen


def test_a_plan_mode_that_was_left_at_the_terminal_is_entered_anew() -> None:
    session = Sessions()
    session.send("planning")
    session.record.process = ProcessFacts(mode_now="acceptEdits")  # the plan was approved
    assert session.send("planning")
    assert session.send("normal")
    assert session.mode is None


def test_a_plan_mode_of_the_terminal_alone_is_left_alone() -> None:
    session = Sessions(mode_now="plan")
    assert not session.send("normal")
    assert session.send("planning")


def test_a_process_that_could_not_be_replaced_yet_still_has_to_be() -> None:
    session = Sessions()
    session.send("planning")
    chat_mode.take(cast(Any, session), "normal")
    assert chat_mode.wanting(cast(Any, session.record), True, "normal")
    assert chat_mode.wanting(cast(Any, session.record), True, "planning")
    assert not chat_mode.wanting(cast(Any, session.record), True, None)


def test_a_fork_leaves_the_plan_mode_as_its_origin_does() -> None:
    origin = Sessions(permission_mode="acceptEdits", mode_now="acceptEdits")
    origin.send("planning")
    fork = Sessions(permission_mode="plan", mode_now="plan")
    chat_mode.inherit(cast(Any, fork), origin.record.intent)
    assert fork.send("normal")
    assert fork.mode == "acceptEdits"
