"""The bus over TCP: only keys that were added come in, they may do what their scope says, and all of it is encrypted.

A real supervisor, real CURVE, real clients; the last word on who is let in is libzmq's.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from shared.access.bus_keys import BusKeyring, KeyPair
from shared.access.tokens import Scope
from shared.bus.client import BusClient
from shared.bus.connection import ClientKey, new_key_pair
from shared.bus.event_stream import EventStream
from shared.errors import Forbidden, Unauthorized, Unavailable
from tests.conftest import LendHouse, MakeHouse
from tests.harness import PATIENCE, House, until

SHORT = 3.0
"""Seconds after which a client that is not let in has waited enough."""


@pytest.fixture
def reachable(lend_house: LendHouse, one_cli: Path) -> Iterator[House]:
    """A house whose bus listens on TCP, at any free ports, and that lets nobody in yet; running."""
    bus = {"tcp_host": "127.0.0.1", "tcp_request_port": 0, "tcp_event_port": 0}
    house = lend_house(one_cli, health={"interval_seconds": 0.3}, bus=bus)
    until(lambda: facts(house)["serverKey"], "the bus listens on TCP")
    yield house
    clients = BusKeyring(house.paths).clients
    for record in clients.records():
        clients.revoke(record.name)


def facts(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.call("status")["busTcp"]
    return found


def let_in(house: House, name: str, scope: Scope) -> ClientKey:
    pair = new_key_pair()
    BusKeyring(house.paths).clients.add(name, scope, pair.public)
    return ClientKey(pair, facts(house)["serverKey"])


@contextlib.contextmanager
def client(house: House, key: ClientKey) -> Iterator[BusClient]:
    with BusClient(facts(house)["requests"], key=key) as made:
        yield made


def test_it_does_not_listen_unless_it_is_told_to(lend_house: LendHouse, one_cli: Path) -> None:
    house = lend_house(one_cli)
    assert house.call("status")["busTcp"] is None
    assert listeners(house) == set()


def listeners(house: House) -> set[int]:
    """The TCP ports on which the supervisor listens."""
    assert house.supervisor is not None
    found = psutil.Process(house.supervisor.pid).net_connections("tcp")
    return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}


def test_a_key_that_was_added_may_look_and_hear(reachable: House) -> None:
    key = let_in(reachable, "monitor", "read")
    told = {int(facts(reachable)[name].rpartition(":")[2]) for name in ("requests", "events")}
    assert listeners(reachable) == told
    with client(reachable, key) as bus, EventStream(facts(reachable)["events"], "session.", key=key) as stream:
        assert bus.call("ping")["pid"] == reachable.call("ping")["pid"]
        heard = until(lambda: stream.next_event(1.0), "a tick")
        assert heard.kind == "tick"
        session = reachable.call("session.create", {"projectPath": str(reachable.project)})["id"]
        until(lambda: (event := stream.next_event(1.0)) is not None and event.kind == "created", "the event")
        assert [view["id"] for view in bus.call("session.list")["sessions"]] == [session]


def test_a_key_may_do_what_its_scope_says_and_is_named_in_the_record(reachable: House) -> None:
    session = reachable.call("session.create", {"projectPath": str(reachable.project), "wait": 30})["id"]
    with client(reachable, let_in(reachable, "eye", "read")) as eye:
        for op, args in (
            ("message.send", {"text": "echo: no", "sessionId": session}),
            ("session.kill", {"sessionId": session}),
            ("session.recording", {"sessionId": session, "start": True}),
            ("no.such.op", {}),
        ):
            with pytest.raises(Forbidden) as refused:
                eye.call(op, args)
            assert refused.value.error_code == "insufficient_scope"
    with client(reachable, let_in(reachable, "voice", "chat")) as voice:
        sent = voice.call("message.send", {"text": "echo: hello", "sessionId": session, "wait": 60}, timeout=90)
        assert sent["message"]["reply"] == "hello"
        with pytest.raises(Forbidden):
            voice.call("session.create", {"projectPath": str(reachable.project), "permissionMode": "bypassPermissions"})
        with pytest.raises(Forbidden):
            voice.call("message.send", {"text": "x", "projectPath": str(reachable.project), "trust": True})
    with client(reachable, let_in(reachable, "hand", "admin")) as hand:
        assert hand.call("session.kill", {"sessionId": session}, timeout=60)["state"] == "ended"
    audits = [event for event in reachable.events() if event["kind"] == "audit"]

    def done_by(actor: str) -> list[tuple[str, str | None]]:
        found = [audit["data"] for audit in audits if audit["data"]["actor"] == actor]
        return [(data["op"], data.get("refused") and data["needed"]) for data in found]

    assert done_by("key:voice") == [("message.send", None), ("session.create", "admin"), ("message.send", "answer")]
    assert done_by("key:hand") == [("session.kill", None)]
    refused = [
        ("message.send", "chat"),
        ("session.kill", "admin"),
        ("session.recording", "admin"),
        ("no.such.op", "admin"),
    ]
    assert done_by("key:eye") == refused
    assert {audit["session"] for audit in audits if audit["data"]["actor"] == "key:hand"} == {session}


def test_nobody_else_comes_in(reachable: House) -> None:
    listed = let_in(reachable, "monitor", "read")
    where, stranger = facts(reachable), new_key_pair()
    address = where["requests"]
    cases = {
        "a key that was never added": ClientKey(stranger, listed.server),
        "the public key of another": ClientKey(KeyPair(listed.pair.public, stranger.secret), listed.server),
        "another server's key": ClientKey(listed.pair, stranger.public),
        "no key at all": None,
    }

    def stays_out(what: str) -> None:
        # Only the first hears that it is refused, and waits for that; the others hear nothing at all.
        error, patience = (Unauthorized, PATIENCE) if what.endswith("never added") else (Unavailable, SHORT)
        with EventStream(where["events"], key=cases[what]) as stream:
            with BusClient(address, key=cases[what]) as bus, pytest.raises(error):
                pytest.fail(f"{what}: {bus.call('ping', timeout=patience)}")
            assert stream.next_event(1.5) is None, what

    with ThreadPoolExecutor() as threads:
        list(threads.map(stays_out, cases))
    context = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.setsockopt(zmq.LINGER, 0)
    plain.setsockopt(zmq.PLAIN_USERNAME, b"admin")
    plain.setsockopt(zmq.PLAIN_PASSWORD, b"admin")
    plain.connect(address)
    plain.send(json.dumps({"v": 1, "id": "a", "op": "ping"}).encode())
    assert not plain.poll(1500)
    context.destroy(0)
    with client(reachable, listed) as bus:
        assert bus.call("ping")["ready"]


def test_whose_key_is_revoked_is_cut_off_and_the_others_come_back(reachable: House) -> None:
    gone, stays = let_in(reachable, "gone", "admin"), let_in(reachable, "stays", "read")
    where = facts(reachable)
    with (
        client(reachable, gone) as first,
        client(reachable, stays) as second,
        EventStream(where["events"], key=gone) as deaf,
        EventStream(where["events"], key=stays) as hears,
    ):
        assert first.call("ping")["ready"]
        assert second.call("ping")["ready"]
        until(lambda: deaf.next_event(1.0) and hears.next_event(1.0), "both hear")
        BusKeyring(reachable.paths).clients.revoke("gone")
        with pytest.raises(Unauthorized) as refused:
            until(lambda: not first.call("ping", timeout=PATIENCE), "it is refused")
        assert refused.value.error_code == "key_refused"
        assert second.call("ping", timeout=30)["ready"]
        while hears.next_event(0.0):
            pass
        until(lambda: hears.next_event(1.0), "the other hears again")
        until(lambda: deaf.next_event(2.5) is None, "the revoked one hears nothing any more, of a tick a second")
        BusKeyring(reachable.paths).clients.add("gone", "read", gone.pair.public)
        assert first.call("ping", timeout=30)["ready"]  # the same client, once it is let in again
    assert facts(reachable)["requests"] == where["requests"]


def test_clients_do_not_see_each_others_replies(reachable: House) -> None:
    """Ids are the clients' own: one that repeats another's id gets its own answer."""
    context = zmq.Context()
    answers = []
    for name, scope in (("hand", "admin"), ("eye", "read")):
        key = let_in(reachable, name, scope)  # type: ignore[arg-type]
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt_string(zmq.CURVE_PUBLICKEY, key.pair.public)
        dealer.setsockopt_string(zmq.CURVE_SECRETKEY, key.pair.secret)
        dealer.setsockopt_string(zmq.CURVE_SERVERKEY, key.server)
        dealer.connect(facts(reachable)["requests"])
        dealer.send(json.dumps({"v": 1, "id": "same", "op": "conversations.list", "args": {}}).encode())
        assert dealer.poll(60_000)
        answers.append(json.loads(dealer.recv()))
    context.destroy(0)
    assert [answer["ok"] for answer in answers] == [True, False]
    assert answers[1]["error"]["code"] == "insufficient_scope"


def free_port() -> int:
    """One that the machine does not give to others who ask for any, while nobody listens on it."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def test_what_was_asked_of_a_supervisor_that_was_down_is_not_done_by_the_next_one(
    make_house: MakeHouse, one_cli: Path
) -> None:
    house = make_house(one_cli)
    ports = [free_port(), free_port()]
    house.config["bus"] = {"tcp_host": "127.0.0.1", "tcp_request_port": ports[0], "tcp_event_port": ports[1]}
    house.start_supervisor()
    until(lambda: facts(house)["serverKey"], "the bus listens on TCP")
    with client(house, let_in(house, "hand", "admin")) as bus:
        assert bus.call("ping")["ready"]
        house.kill_supervisor()
        with pytest.raises(Unavailable):
            bus.call("session.create", {"projectPath": str(house.project)}, timeout=0.5)
        house.start_supervisor()
        assert bus.call("session.list", timeout=30) == {"sessions": [], "next": None}


def test_nothing_can_be_read_on_the_wire(reachable: House) -> None:
    """A relay between client and supervisor sees neither requests nor replies."""
    seen = bytearray()
    port = int(facts(reachable)["requests"].rpartition(":")[2])
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                seen.extend(data)
                sink.sendall(data)

    def relay() -> None:
        inside, _ = listener.accept()
        outside = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=carry, args=(inside, outside), daemon=True).start()
        threading.Thread(target=carry, args=(outside, inside), daemon=True).start()

    threading.Thread(target=relay, daemon=True).start()
    key = let_in(reachable, "hand", "admin")
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with BusClient(address, key=key) as bus:
        view = bus.call(
            "session.create", {"projectPath": str(reachable.project), "title": "A-TITLE-TO-BE-SEEN"}, timeout=30
        )
    listener.close()
    assert view["title"] == "A-TITLE-TO-BE-SEEN"
    assert len(seen) > 500
    assert b"A-TITLE-TO-BE-SEEN" not in seen
    assert b"session.create" not in seen


def test_a_subscription_has_a_bounded_size(reachable: House) -> None:
    key = let_in(reachable, "monitor", "read")
    with EventStream(facts(reachable)["events"], "x" * 10_000, key=key) as greedy:
        assert greedy.next_event(2.5) is None, "it is cut off, tick and all"
    with EventStream(facts(reachable)["events"], "x" * 1_000, key=key) as modest:
        until(lambda: modest.next_event(1.0), "a tick")


def test_a_port_that_is_taken_costs_only_the_tcp_door_and_heals(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    house.config["health"] = {"interval_seconds": 0.3}
    house.config["bus"] = {"tcp_host": "127.0.0.1", "tcp_request_port": port, "tcp_event_port": 0}
    house.start_supervisor()
    until(lambda: "in use" in (facts(house)["error"] or ""), "the port is taken")
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert checks["bus"]["status"] == "warn"
    assert str(port) in checks["bus"]["detail"]
    taken.close()
    until(lambda: facts(house)["error"] is None, "it listens")
    with client(house, let_in(house, "monitor", "read")) as bus:
        assert bus.call("ping")["ready"]


def test_the_key_stays_the_same_over_restarts_and_is_private(reachable: House) -> None:
    before, key = facts(reachable)["serverKey"], let_in(reachable, "monitor", "read")
    reachable.kill_supervisor()
    reachable.start_supervisor()
    until(lambda: facts(reachable)["serverKey"], "the bus listens on TCP")
    assert facts(reachable)["serverKey"] == before
    with client(reachable, key) as bus:
        assert bus.call("ping")["ready"]
    for name in ("bus-key.json", "bus-clients.json"):
        assert (reachable.home / name).stat().st_mode & 0o777 == 0o600
    assert key.pair.secret not in (reachable.home / "bus-clients.json").read_text()
