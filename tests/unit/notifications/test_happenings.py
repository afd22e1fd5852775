"""What is read of the journal when nobody is to be told: no more than what a recipient who comes later has to know."""

from __future__ import annotations

import logging
from pathlib import Path

from shared.bus.messages import Event
from shared.config import NotifyConfig
from supervisor.notifications.happenings import is_news
from supervisor.notifications.service import Notifications
from supervisor.store.store import Store


async def test_a_turn_that_nobody_is_to_be_told_of_costs_no_look_at_its_session(store: Store, tmp_path: Path) -> None:
    def look(session: str) -> None:
        raise AssertionError(f"looked at {session}")

    service = Notifications(store, NotifyConfig, look, tmp_path / "key", "node", logging.getLogger("x"))
    service.seed({})
    for state in ("accepted", "answered"):
        store.append("message", "s", {"message": "m", "state": state})
    store.append("state", "s", {"from": "busy", "to": "idle"})
    await service._pass()
    assert store.meta("notifications") == str(store.head())


def test_that_a_turn_begins_is_no_news_and_that_it_ends_is() -> None:
    def news(before: str, now: str) -> bool:
        data = {"from": before, "to": now}
        return is_news(Event(v=1, epoch="e", seq=1, at=1, kind="state", session="s", data=data))

    assert [news("idle", "busy"), news("busy", "idle"), news("busy", "waiting")] == [False, True, True]
