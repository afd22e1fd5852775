"""The state table is total, and the judgement of evidence keeps its promises for every evidence there can be."""

from __future__ import annotations

import itertools

import pytest

from shared.bus.messages import Waiting
from supervisor.state.states import LIVE, PATIENCE_SECONDS, TABLE, Evidence, State, StateEvent, Verdict, after, judge

ASKS = Waiting(id="w1", kind="permission", title="May I?", text="")
HELD = Waiting(id="w2", kind="rate_limit", title="Limit", text="")
SIGHTS = ("prompt", "draft", "editor", "menu", "notice", "other", "blank")
STATUSES = (None, "idle", "busy", "waiting", "shell", "a word of a later release")
EVERYTHING = [
    Evidence(
        ready_once=ready,
        turn_open=turn,
        status=status,
        screen_reading=screen_reading,
        asks=asks,
        held=held,
        puzzled_for=puzzled,
        responsive=responsive,
    )
    for ready, turn, status, screen_reading, asks, held, puzzled, responsive in itertools.product(
        (False, True),
        (False, True),
        STATUSES,
        SIGHTS,
        (None, ASKS),
        (None, HELD),
        (0.0, PATIENCE_SECONDS),
        (False, True),
    )
]


def test_every_state_and_event_has_a_next_state() -> None:
    assert set(TABLE) == set(State)
    for state, event in itertools.product(State, StateEvent):
        assert isinstance(after(state, event), State)


def test_evidence_about_a_live_session_leads_to_what_it_says() -> None:
    said = {
        StateEvent.READY: State.IDLE,
        StateEvent.WORKING: State.BUSY,
        StateEvent.ASKING: State.WAITING,
        StateEvent.LOST_SIGHT: State.UNKNOWN,
    }
    for state in LIVE - {State.STARTING, State.STOPPING}:
        assert {event: after(state, event) for event in said} == said


@pytest.mark.parametrize("state", [State.HIBERNATED, State.ENDED, State.STOPPING])
def test_evidence_about_a_process_that_is_going_or_gone_changes_nothing(state: State) -> None:
    for event in (StateEvent.READY, StateEvent.WORKING, StateEvent.ASKING, StateEvent.LOST_SIGHT):
        assert after(state, event) is state


def test_a_start_that_shows_nothing_yet_is_still_a_start() -> None:
    assert after(State.STARTING, StateEvent.LOST_SIGHT) is State.STARTING


def test_an_ended_session_comes_back_only_by_a_start() -> None:
    assert {event for event in StateEvent if after(State.ENDED, event) is not State.ENDED} == {StateEvent.SPAWN}


def test_a_start_leads_from_anywhere_to_starting_and_an_end_to_ended() -> None:
    for state in State:
        assert after(state, StateEvent.SPAWN) is State.STARTING
        assert after(state, StateEvent.ENDED) is State.ENDED


def test_only_a_live_session_can_be_stopping() -> None:
    for state in State:
        assert (after(state, StateEvent.STOP) is State.STOPPING) == (state in LIVE)


def test_every_state_can_be_reached_from_a_new_session() -> None:
    reached, fresh = {State.STARTING}, {State.STARTING}
    while fresh:
        fresh = {after(state, event) for state in fresh for event in StateEvent} - reached
        reached |= fresh
    assert reached == set(State)


def test_no_event_reads_a_guess_into_the_table() -> None:
    for event in (StateEvent.SPAWN, StateEvent.STOP, StateEvent.SLEPT, StateEvent.ENDED):
        assert State.UNKNOWN not in {after(state, event) for state in State}


def test_a_silent_holder_is_never_idle() -> None:
    assert {judge(seen) for seen in EVERYTHING if not seen.responsive} == {Verdict(StateEvent.LOST_SIGHT)}


def test_what_asks_is_always_told_with_its_choices() -> None:
    for seen in EVERYTHING:
        verdict = judge(seen)
        if seen.responsive and seen.asks is not None:
            assert verdict == Verdict(StateEvent.ASKING, ASKS)
        if verdict is not None:
            assert (verdict.event is StateEvent.ASKING) == (verdict.waiting is not None)


def test_ready_needs_a_prompt_box_and_nothing_that_contradicts_it() -> None:
    for seen in EVERYTHING:
        verdict = judge(seen)
        if verdict is not None and verdict.event is StateEvent.READY:
            assert seen.ready_once
            assert seen.responsive
            assert seen.screen_reading in ("prompt", "draft", "editor")
            assert seen.status != "busy"
            assert not seen.turn_open
            assert seen.asks is None
            assert seen.held is None


def test_an_open_turn_is_work_whatever_the_screen_shows() -> None:
    for seen in EVERYTHING:
        if seen.turn_open and seen.responsive and seen.asks is None:
            assert judge(seen) == Verdict(StateEvent.WORKING)


def test_a_contradiction_is_unknown_only_after_patience() -> None:
    for seen in EVERYTHING:
        verdict = judge(seen)
        if verdict is None:
            assert not seen.ready_once or seen.puzzled_for < PATIENCE_SECONDS
        elif verdict.event is StateEvent.LOST_SIGHT and seen.responsive:
            assert seen.puzzled_for >= PATIENCE_SECONDS
