"""Events as types: the wire is what it was, and who listens is never hurt by what another release has said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.bus import event_data, events, message_events, service_events, session_events, trouble_events
from shared.bus.messages import Event
from supervisor.store.store import Store
from supervisor.turn import tool_events
from supervisor.turn.truncation import excerpt

SAID: list[tuple[event_data.EventData, str]] = [
    (
        session_events.StateChange(from_="busy", to="idle", cause="evidence"),
        '{"from":"busy","to":"idle","cause":"evidence"}',
    ),
    (
        session_events.StateChange(from_="idle", to="ended", cause="x", reason="killed", detail=None),
        '{"from":"idle","to":"ended","cause":"x","reason":"killed","detail":null}',
    ),
    (
        message_events.MessageStep(message="m_1", state="typed", at=5, prompt_id="p"),
        '{"message":"m_1","state":"typed","at":5,"promptId":"p"}',
    ),
    (session_events.WaitingBegun(for_="trust", title="T", id="w"), '{"for":"trust","title":"T","id":"w"}'),
    (session_events.Created(project_path="/p"), '{"projectPath":"/p"}'),
    (session_events.WriterChange(writer=None, from_="a"), '{"writer":null,"from":"a"}'),
    (
        session_events.ExpiryWarning(expires_in_seconds=3, reason="inactivity"),
        '{"expiresInSeconds":3,"reason":"inactivity"}',
    ),
    (service_events.NotificationFailed(seq=1, of="ended", why="w"), '{"seq":1,"kind":"ended","why":"w"}'),
    (trouble_events.BusRebound(), "{}"),
]
"""As they were written before they had types, byte for byte."""


def heard(kind: str, data: dict[str, Any]) -> Event:
    return Event(v=1, epoch="e", seq=1, at=1, kind=kind, data=data)


@pytest.mark.parametrize(("said", "wire"), SAID)
def test_the_wire_is_what_it_was_and_is_read_back(tmp_path: Path, said: event_data.EventData, wire: str) -> None:
    store = Store(tmp_path / "state.db")
    store.append(said, "s")
    (event,) = store.events(0, 10, None, None)
    store.close()
    assert msgspec.json.encode(event.data).decode() == wire
    assert (event.kind, event.session) == (said.kind, "s")
    assert events.read(event) == said


@pytest.mark.parametrize("hook", ["PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionDenied"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_tool_event_loses_no_member_on_its_way_through_its_type(hook: str, size: int) -> None:
    payload = {"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "x" * size}, "tool_response": {"a": 1},
               "duration_ms": 3, "error": "no"}  # fmt: skip
    data = excerpt({"promptId": "p", "message": None, **tool_events.told(hook, payload, True)})
    assert event_data.data_of(msgspec.convert(data, message_events.ToolUse)) == data


def test_what_is_not_known_or_does_not_fit_is_nothing() -> None:
    assert events.read(heard("of_another_release", {"a": 1})) is None
    assert events.read(heard("message", {"state": 5})) is None
    assert events.read(heard("message", {"message": "m", "state": "typed", "at": 1, "new": 2})) is not None


def every(kind: type[event_data.EventData]) -> list[type[event_data.EventData]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *every(sub))]


def test_every_kind_is_listed_once() -> None:
    assert set(events.KINDS.values()) == set(every(event_data.EventData))
    assert (
        len(events.KINDS)
        == len({struct.__name__ for struct in events.KINDS.values()})
        == len(every(event_data.EventData))
    )
