"""What waits is woken by what happens, not by time, and time ends it all the same."""

from __future__ import annotations

import asyncio
import time

from supervisor.session.condition import Condition

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


async def test_all_who_wait_are_woken_and_whoever_is_cancelled_leaves_nothing_behind() -> None:
    changed, seen = Condition(), list[bool]()
    first, second, third = [
        asyncio.create_task(changed.wait_for(lambda: bool(seen), within)) for within in (LONG, LONG, None)
    ]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    seen.append(True)
    changed.notify()
    assert await second
    assert await third
    assert not changed._waiters
