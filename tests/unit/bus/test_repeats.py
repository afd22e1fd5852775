"""The same request again: done once, answered with one reply, and never with the reply to another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.bus.client import BusClient
from shared.bus.messages import Request
from tests.unit.bus.server_lab import PATIENCE, Lab, ask, frame, heard, until


async def test_the_same_id_gets_the_same_reply_and_is_done_once(lab: Lab) -> None:
    first, second = lab.dealer(), lab.dealer()
    asked = [frame("a", args={"n": 1, "m": 2, "wait": 9.0}, timeout=9000), frame("a", args={"m": 2, "wait": 8, "n": 1})]
    replies = [await ask(first, asked[0]), await ask(second, asked[1])]
    assert [reply["result"] for reply in replies] == [{"n": 1, "m": 2, "wait": 9.0}] * 2
    assert len(lab.asked) == 1


@pytest.mark.parametrize("other", [{"args": {"text": "no"}}, {"op": "message.cancel"}, {"actor": "bot"}], ids=str)
async def test_an_id_that_stands_for_another_request_is_refused_and_not_answered_with_its_reply(
    lab: Lab, other: dict[str, Any]
) -> None:
    """Programs whose ids count from 1 got each other's replies, and their own of the start before: nothing was sent."""
    gate = asyncio.Event()

    async def answer(request: Request) -> Any:
        await gate.wait()
        return request.args

    lab.answer = answer
    first, second = lab.dealer(), lab.dealer()
    one, another = (
        frame("1", "message.send", args={"text": "yes"}),
        {"op": "message.send", "args": {"text": "yes"}} | other,
    )
    await first.send(one)
    await until(lambda: lab.asked)
    while_it_runs = await ask(second, frame("1", **another))
    gate.set()
    assert (await heard(first))["result"] == {"text": "yes"}
    refused = [while_it_runs, await ask(second, frame("1", **another))]
    assert [(reply["error"]["code"], reply["error"]["status"]) for reply in refused] == [("id_reused", 409)] * 2
    assert (await ask(second, one))["result"] == {"text": "yes"}
    assert len(lab.asked) == 1


async def test_the_same_id_while_it_is_being_done_waits_for_the_one_reply(lab: Lab) -> None:
    gate = asyncio.Event()

    async def wait(request: Request) -> Any:
        await gate.wait()
        return len(lab.asked)

    lab.answer = wait
    first, second = lab.dealer(), lab.dealer()
    await first.send(frame("a"))
    await until(lambda: lab.asked)
    await first.send(frame("a"))
    await second.send(frame("a"))
    await second.send(frame("b"))
    await until(lambda: len(lab.asked) == 2)
    gate.set()
    assert (await heard(first))["id"] == "a"
    assert {(await heard(second))["id"] for _ in range(2)} == {"a", "b"}
    assert [request.id for request in lab.asked] == ["a", "b"]


async def test_a_request_to_a_supervisor_that_restarts_is_answered_by_the_next_one(lab: Lab) -> None:
    async def never(request: Request) -> Any:
        await asyncio.Event().wait()

    lab.answer = never
    client = BusClient(lab.requests_at)
    try:
        answer = client.submit("ping", {"n": 1}, timeout=PATIENCE)
        await until(lambda: lab.asked)
        await lab.stop()
        lab.answer = lab._echo
        lab.bus = lab.open()
        assert await asyncio.to_thread(answer.result, PATIENCE) == {"n": 1}
        assert len({request.id for request in lab.asked}) == 1
    finally:
        await asyncio.to_thread(client.close)
