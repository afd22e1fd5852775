"""Who hears of what was kept: all in order, a failure undoes nothing, and who waits for a fate asks the database."""

from __future__ import annotations

import asyncio
import logging

import pytest

from shared.bus.messages import Event
from supervisor.session import receipts
from supervisor.state.states import StateEvent
from supervisor.store.publishing import MAX_WAITING, Publisher
from supervisor.store.store import MessageRecord
from tests.unit.observation.claude_lab import Claude


def assert_memory_is_the_database(claude: Claude) -> None:
    session = claude.session
    assert claude.store.session("s") == session.record
    if session.current is not None:
        assert claude.store.message(session.current.id) == session.current


def broken(_: list[Event]) -> None:
    raise RuntimeError("a subscriber's own fault")


def test_a_subscriber_that_raises_undoes_nothing(claude: Claude) -> None:
    claude.store.publish = broken
    message = claude.begin("m")
    receipts.step(claude.session, message, "submitted", prompt_id="p")
    claude.session.apply(StateEvent.WORKING, "evidence")
    assert message.state == "submitted"
    assert claude.session.record.state == "busy"
    assert_memory_is_the_database(claude)


async def test_the_others_hear_all_in_order_and_a_failure_is_logged_once(
    claude: Claude, caplog: pytest.LogCaptureFixture
) -> None:
    publisher, heard = Publisher(claude.store.head(), logging.getLogger("test")), []
    publisher.subscribe("broken", broken)
    publisher.subscribe("sound", heard.extend)
    claude.store.publish = publisher.publish
    for number in range(3):
        claude.store.append("event", None, {"n": number})
        assert len(heard) == number, "nobody is told in the middle of what appends"
        await asyncio.sleep(0)
    assert [event.seq for event in heard] == [1, 2, 3]
    assert publisher.head == 3
    assert [record.message for record in caplog.records] == ["subscriber_failed"]


async def test_what_a_subscriber_appends_is_told_behind_what_it_was_told(claude: Claude) -> None:
    publisher, heard = Publisher(claude.store.head(), logging.getLogger("test")), []

    def adding(events: list[Event]) -> None:
        if events[0].kind == "first":
            claude.store.append("second")

    publisher.subscribe("adding", adding)
    publisher.subscribe("sound", heard.extend)
    claude.store.publish = publisher.publish
    claude.store.append("first")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [event.kind for event in heard] == ["first", "second"]


async def test_what_waits_to_be_told_is_bounded_and_all_of_it_told(claude: Claude) -> None:
    publisher, heard = Publisher(claude.store.head(), logging.getLogger("test")), []
    publisher.subscribe("sound", heard.extend)
    claude.store.publish = publisher.publish
    for number in range(MAX_WAITING + 10):
        claude.store.append("event", None, {"n": number})
        assert len(publisher._waiting) <= MAX_WAITING
    publisher.flush()
    assert [event.seq for event in heard] == list(range(1, MAX_WAITING + 11))


def refuse_an_answer(claude: Claude, message: MessageRecord) -> None:
    """What was told within a change that fails was not so."""
    try:
        with claude.session.change():
            receipts.step(claude.session, message, "answered", reply="not so")
            raise KeyError
    except KeyError:
        assert message.state == "typed"


async def test_who_waits_for_a_fate_asks_the_database_when_there_is_one(claude: Claude) -> None:
    message, session = claude.begin("m"), claude.session
    asked: list[str] = []
    claude.store._db.set_trace_callback(asked.append)

    async def wait() -> bool:
        with session.fates.awaited("m") as settled:
            return await session.changed.wait_for(settled, 60.0)

    waiting = [asyncio.create_task(wait()) for _ in range(20)]
    await asyncio.sleep(0)
    del asked[:]
    for _ in range(50):
        session.changed.notify()  # as every frame of output does
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert asked == []
    refuse_an_answer(claude, message)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    del asked[:]
    receipts.step(session, message, "answered", reply="yes")
    assert await asyncio.gather(*waiting) == [True] * 20
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 20
    assert not session.fates._news


async def test_who_asks_for_a_fate_that_is_settled_is_told_at_once(claude: Claude) -> None:
    receipts.step(claude.session, claude.begin("m"), "answered", reply="yes")
    with claude.session.fates.awaited("m") as settled:
        assert settled()
    with claude.session.fates.awaited("never") as settled:
        assert settled()
