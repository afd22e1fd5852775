"""What waits is woken by what happens, not by time, and time ends it all the same."""

from __future__ import annotations

import asyncio
import time

from supervisor.session.condition import Condition, Flag

LONG = 30.0


async def test_a_condition_is_looked_at_when_something_has_changed() -> None:
    changed, seen = Condition(), list[bool]()
    waiting = asyncio.create_task(changed.wait_for(lambda: bool(seen), LONG))
    for known in (False, True):
        await asyncio.sleep(0)
        if known:
            seen.append(True)
        changed.notify()
    assert await waiting


async def test_a_condition_that_never_holds_is_given_up_in_time() -> None:
    began = time.monotonic()
    assert not await Condition().wait_for(lambda: False, 0.02)
    assert time.monotonic() - began >= 0.02
    assert not await Condition().wait_for(lambda: False, 0.0)


async def test_a_flag_wakes_whoever_waits_and_those_who_come_later_until_it_is_lowered() -> None:
    flag = Flag()
    waiting = asyncio.create_task(flag.within(LONG))
    await asyncio.sleep(0)
    flag.hoist()
    assert await waiting
    assert await flag.within(LONG)
    flag.lower()
    assert not await flag.within(0.01)
    assert not await flag.within(-1.0)


async def test_whoever_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    flag = Flag()
    waiting = asyncio.create_task(flag.within(LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    flag.hoist()
    assert await flag.within(LONG)
