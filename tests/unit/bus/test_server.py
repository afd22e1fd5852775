"""The supervisor's bus on real sockets: nothing that a peer sends stops it, and whoever listens hears where it stands."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq
import zmq.asyncio

from shared.bus.client import BusClient
from shared.bus.messages import VERSION, ErrorBody, Event, Request
from shared.errors import Conflict, PilotlightError
from supervisor.bus import server as bus_module
from supervisor.bus import sockets
from supervisor.bus.server import MAX_IN_FLIGHT, TICK_SECONDS, WELCOME_SECONDS
from tests.unit.bus import server_lab
from tests.unit.bus.server_lab import PATIENCE, Lab, ask, frame, heard, until

# -- what peers may send -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"v": 1}',
        b'{"v": "1", "id": "a", "op": "ping"}',
        b'{"v": 1, "id": "a", "op": "ping", "args": []}',
        b'{"v": 1, "id": "a", "op": "ping", "deadline": "soon"}',
        b'{"v": 1, "id": 5, "op": "ping"}',
        b'{"v": 1, "id": "a", "op": "ping", "args": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b"[" * 100_000,
    ],
    ids=lambda data: ascii(data[:30]),
)
async def test_garbage_is_refused_and_the_next_request_is_answered(lab: Lab, garbage: bytes) -> None:
    socket = lab.dealer()
    refused = await ask(socket, garbage)
    assert (refused["ok"], refused["error"]["code"], refused["error"]["status"]) == (False, "bad_request", 400)
    assert (await ask(socket, frame("next", args={"x": 1})))["result"] == {"x": 1}
    assert [request.id for request in lab.asked] == ["next"]


async def test_a_refusal_carries_the_id_of_what_it_refuses(lab: Lab) -> None:
    refused = await ask(lab.dealer(), b'{"v": 1, "id": "mine", "op": 5}')
    assert refused["id"] == "mine"


async def test_another_version_is_refused_by_name(lab: Lab) -> None:
    refused = await ask(lab.dealer(), b'{"v": 99, "id": "a", "op": "ping"}')
    assert (refused["id"], refused["error"]["code"]) == ("a", "version")
    assert "99" in refused["error"]["message"]
    assert lab.asked == []


async def test_a_message_of_several_frames_is_refused(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    socket = lab.dealer()
    await socket.send_multipart([frame("a"), b"more"])
    refused = await heard(socket)
    assert (refused["id"], refused["error"]["code"]) == ("a", "bad_request")
    await socket.send_multipart([b""])
    assert (await heard(socket))["error"]["code"] == "bad_request"
    assert (await ask(socket, frame("b")))["id"] == "b"
    assert [request.id for request in lab.asked] == ["b"]
    assert "bad_frames" in caplog.messages


async def test_a_req_socket_is_answered_as_it_asks(lab: Lab) -> None:
    socket = lab.context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(lab.requests_at)
    assert (await ask(socket, frame("a", args={"n": 1})))["result"] == {"n": 1}
    assert (await ask(socket, frame("a", args={"n": 1})))["result"] == {"n": 1}
    assert (await ask(socket, b"garbage"))["error"]["code"] == "bad_request"


async def test_a_frame_over_the_limit_is_not_read_and_costs_only_its_sender(
    make_lab: Callable[[], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_FRAME_BYTES", 100_000)
    lab = make_lab()
    good, bad = lab.dealer(), lab.dealer()
    assert (await ask(good, frame("a")))["ok"]
    await bad.send(frame("big", args={"x": "y" * 200_000}))
    assert (await ask(good, frame("b", args={"x": "y" * 90_000})))["ok"]
    assert [request.id for request in lab.asked] == ["a", "b"]


async def test_an_id_is_bounded(lab: Lab) -> None:
    refused = await ask(lab.dealer(), frame("x" * 1000))
    assert refused["error"]["code"] == "bad_request"
    assert lab.asked == []


# -- many requests -----------------------------------------------------------------------------------------------------


async def test_ten_thousand_requests_in_a_row_are_all_answered(lab: Lab) -> None:
    socket = lab.dealer()
    for number in range(10_000):
        await socket.send(frame(str(number), args={"n": number}))
    replies = [await heard(socket) for _ in range(10_000)]
    refused = [reply for reply in replies if not reply["ok"]]
    assert {reply["id"] for reply in replies} == {str(number) for number in range(10_000)}
    assert all(reply["error"]["retryable"] and reply["error"]["status"] == 429 for reply in refused)
    assert all(reply["result"] == {"n": int(reply["id"])} for reply in replies if reply["ok"])


async def test_what_waits_is_bounded_and_the_rest_is_told_to_come_back(lab: Lab) -> None:
    gate = asyncio.Event()

    async def wait(request: Request) -> Any:
        await gate.wait()
        return request.id

    lab.answer = wait
    socket = lab.dealer()
    for number in range(MAX_IN_FLIGHT + 10):
        await socket.send(frame(str(number)))
    refused = [await heard(socket) for _ in range(10)]
    assert {reply["error"]["code"] for reply in refused} == {"bus_busy"}
    assert {reply["error"]["data"]["retryAfter"] for reply in refused} == {1}
    gate.set()
    answered = [await heard(socket) for _ in range(MAX_IN_FLIGHT)]
    assert all(reply["ok"] for reply in answered)
    lab.answer = lab._echo
    again = await ask(socket, frame(refused[0]["id"], args={"again": True}))
    assert again["result"] == {"again": True}


async def test_a_slow_request_delays_nobody(lab: Lab) -> None:
    gate = asyncio.Event()

    async def answer(request: Request) -> Any:
        if request.op == "slow":
            await gate.wait()
        return request.op

    lab.answer = answer
    socket = lab.dealer()
    await socket.send(frame("a", "slow"))
    assert (await ask(socket, frame("b", "fast")))["result"] == "fast"
    gate.set()
    assert (await heard(socket))["result"] == "slow"


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_errors_and_bugs_are_answered_as_such(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Request) -> Any:
        if request.op == "bug":
            raise ValueError("secret detail")
        raise Conflict("Not now.", code="busy_now", data={"why": 1})

    lab.answer = fail
    socket = lab.dealer()
    refused = (await ask(socket, frame("a")))["error"]
    assert refused == {"code": "busy_now", "message": "Not now.", "status": 409, "retryable": False, "data": {"why": 1}}
    bug = (await ask(socket, frame("b", "bug")))["error"]
    assert (bug["code"], bug["status"]) == ("internal_error", 500)
    assert "secret" not in bug["message"]
    assert "request_failed" in caplog.messages


async def test_an_answer_for_a_peer_that_is_gone_is_dropped_and_noted(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = asyncio.Event()

    async def wait(request: Request) -> Any:
        if request.op == "slow":
            await gate.wait()
        return request.op

    lab.answer = wait
    gone = lab.dealer()
    await gone.send(frame("a", "slow"))
    await until(lambda: lab.asked)
    gone.close(0)
    socket = lab.dealer()
    await ask(socket, frame("b"))
    await until(lambda: _router_has_forgotten(lab))
    gate.set()
    await until(lambda: "peer_gone" in caplog.messages)
    assert (await ask(socket, frame("c")))["result"] == "ping"


def _router_has_forgotten(lab: Lab) -> bool:
    """ROUTER_MANDATORY says so by raising; asked with an empty message to nobody else."""
    peer = lab.bus._running["a"].peers[0]
    try:
        peer.endpoint.reply(peer.address, [b"{}"])
    except zmq.ZMQError:
        return True
    return False


async def test_a_deleted_socket_file_is_made_again(lab: Lab) -> None:
    old = lab.dealer()
    assert (await ask(old, frame("a")))["ok"]
    Path(lab.requests_at.removeprefix("ipc://")).unlink()
    assert lab.bus.restore()
    assert not lab.bus.restore()
    assert (await ask(lab.dealer(), frame("b")))["ok"]
    assert (await ask(old, frame("c")))["ok"]


async def test_the_sockets_are_private(lab: Lab) -> None:
    for address in (lab.requests_at, lab.events_at):
        assert Path(address.removeprefix("ipc://")).stat().st_mode & 0o777 == 0o600


# -- events ------------------------------------------------------------------------------------------------------------


def event(number: int, owner: str | None = "s1") -> Event:
    return Event(v=VERSION, epoch="epoch", seq=number, at=1, kind="state", session=owner, data={"n": number})


async def test_every_subscriber_hears_the_head_without_waiting_for_the_next_tick(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WELCOME_SECONDS < TICK_SECONDS
    monkeypatch.setattr(bus_module, "TICK_SECONDS", 1e9)
    for _ in range(3):
        tick = await heard(lab.subscriber())
        assert (tick["kind"], tick["data"], tick["seq"]) == ("tick", {"head": 7}, 7)


async def test_who_subscribes_when_nobody_has_for_a_while_hears_the_head_at_once(
    make_lab: Callable[[], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "TICK_SECONDS", 1e9)
    monkeypatch.setattr(bus_module, "WELCOME_SECONDS", 1e6)
    lab = make_lab()
    await asyncio.sleep(0)  # the first word is said
    monkeypatch.setattr(bus_module, "time", SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + 2e6))
    assert (await heard(lab.subscriber()))["kind"] == "tick"


async def test_who_subscribes_in_a_burst_of_events_hears_the_head_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "TICK_SECONDS", 1e9)
    await heard(lab.subscriber())
    for number in range(20):
        socket = lab.subscriber("supervisor.tick")
        welcome = asyncio.create_task(heard(socket))
        while not welcome.done():  # sending takes away what would have told of the subscription
            lab.bus.publish([event(number)] * 10)
            await asyncio.sleep(0)
        assert (await welcome)["data"] == {"head": 7}


async def test_subscribers_are_not_looked_for_while_nobody_subscribes(
    make_lab: Callable[[], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    class Counted(sockets.LocalEndpoint):
        def subscribed(self) -> bool:
            nonlocal looks
            looks += 1
            return super().subscribed()

    monkeypatch.setattr(bus_module, "TICK_SECONDS", 1e9)
    monkeypatch.setattr(bus_module, "WELCOME_SECONDS", 0.001)
    monkeypatch.setattr(server_lab, "LocalEndpoint", Counted)
    lab = make_lab()
    assert (await heard(lab.subscriber()))["kind"] == "tick"
    dealer = lab.dealer()
    before = looks
    assert before
    for number in range(300):
        await ask(dealer, frame(f"r{number}"))
    assert looks - before < 10


async def test_a_subscriber_hears_its_topic_in_order(lab: Lab) -> None:
    one, every = lab.subscriber("session.s1."), lab.subscriber()
    one.subscribe("supervisor.tick")
    await heard(one)
    await heard(every)
    lab.bus.publish([event(1), event(2, "s2"), event(3), event(4, None)])
    assert await numbers(one, 2) == [1, 3]
    assert await numbers(every, 4) == [1, 2, 3, 4]


async def numbers(socket: zmq.asyncio.Socket, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        body = await heard(socket)
        if body["kind"] != "tick":
            found.append(body["seq"])
    return found


async def test_publishing_without_subscribers_costs_nothing(lab: Lab) -> None:
    lab.bus.publish([event(number) for number in range(1000)])
    socket = lab.subscriber()
    assert (await heard(socket))["kind"] == "tick"


async def test_an_error_of_ours_has_its_wire_form() -> None:
    body = ErrorBody.of(PilotlightError("Words.", code="c", data={"a": 1}))
    assert (body.code, body.message, body.status, body.retryable, body.data) == ("c", "Words.", 500, False, {"a": 1})


async def test_a_client_closes_although_its_thread_has_ended_already(tmp_path: Path) -> None:
    client = BusClient(f"ipc://{tmp_path}/nobody.sock")
    client._work.put(None)  # what `close` says first: the thread may look for work before it is woken
    client._wake()
    client._thread.join(PATIENCE)
    assert not client._thread.is_alive()
    await until(lambda: not client._waker.poll(0, zmq.POLLOUT))  # nobody takes what is sent to the thread

    closing = threading.Thread(target=client.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)

    assert not closing.is_alive()
