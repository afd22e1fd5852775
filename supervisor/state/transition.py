"""What is said of a transition from one state to another. Pure; `session` decides whether it is one, and keeps it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from shared.bus import event_data, session_events
from shared.bus.messages import Waiting
from supervisor.state.states import State
from supervisor.store.records import SessionRecord


def told(
    record: SessionRecord, before: State, cause: str, asked: Waiting | None, news: bool
) -> Iterator[event_data.EventData]:
    """The events of it, in their order; `record` has the new state, `news`: what is asked was not asked before."""
    target = State(record.state)
    if target is before and not news:
        return
    ended = target is State.ENDED
    yield session_events.StateChange(
        from_=before,
        to=target,
        cause=cause,
        generation=record.generation if target is State.STARTING else UNSET,
        waiting=UNSET if asked is None else {"id": asked.id, "for": asked.kind, "title": asked.title},
        reason=record.end_reason if ended else UNSET,
        detail=record.end_detail if ended else UNSET,
    )
    if asked is not None and news:
        yield session_events.WaitingBegun(for_=asked.kind, title=asked.title, id=asked.id)
    if ended:
        yield session_events.Ending(reason=record.end_reason, cause=cause)
