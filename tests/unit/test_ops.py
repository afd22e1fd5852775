"""The table of operations: what every request goes through before its handler."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from shared.messages import VERSION, MessageRef, Request
from supervisor.ops import Ops


@pytest.mark.parametrize(
    ("asked", "left", "least", "most"),
    [
        (5.0, 0, 5, 5),
        (1e12, 0, 3600, 3600),
        (1e12, 30, 29, 30),
        (60.0, 30, 29, 30),
        (60.0, -5, 0, 0),
        (1e12, 1e6, 3600, 3600),
    ],
)
async def test_nobody_is_waited_for_longer_than_they_wait(asked: float, left: float, least: float, most: float) -> None:
    waits: list[float] = []

    async def note(arguments: MessageRef, _: Request) -> None:
        waits.append(arguments.wait)

    anything: Any = SimpleNamespace(store=None)
    ops = Ops(anything, dict, anything, anything, anything, anything)
    ops.add("message.get", MessageRef, note)
    deadline = int((time.time() + left) * 1000) if left else 0
    args = {"messageId": "m", "wait": asked}
    await ops.handle(Request(v=VERSION, id="a", op="message.get", args=args, deadline=deadline))
    assert least <= waits[0] <= most
