"""Who did what: what is recorded of sends and refusals, how many refusals of one client, and who may come in."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from shared import paths as places
from shared.access.bus_keys import BusClientKey, BusKeyring
from shared.access.devices import Devices
from shared.access.tokens import Keyring
from shared.bus.message_requests import SendMessage
from shared.bus.messages import VERSION, Request
from shared.bus.service_requests import RefusedCall
from shared.bus.session_requests import CreateSession, RecordingRequest, StopSession
from shared.errors import Busy, Forbidden, NotFound
from shared.paths import Paths
from supervisor.bus import audit as audit_module
from supervisor.bus.access import permit
from supervisor.bus.audit import REFUSALS, AccessWatch, Audit
from supervisor.store.store import Store


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return places.resolve({"PILOTLIGHT_HOME": str(tmp_path)})


def told(store: Store) -> list[dict[str, Any]]:
    return [event.data for event in store.events(0, 1000, None, ["audit"])]


def request(op: str, actor: str = "local", **args: Any) -> Request:
    return Request(v=VERSION, id="a", op=op, args=args, actor=actor)


def test_a_recording_is_an_act_and_looking_at_one_is_not(store: Store) -> None:
    audit = Audit(store)
    for start in (None, True, False):
        audit.asked(request("session.recording", "ann"), RecordingRequest(session_id="s", start=start))
    assert [(data["op"], data["actor"]) for data in told(store)] == [("session.recording", "ann")] * 2


def test_a_send_is_recorded_once_with_its_fate(store: Store) -> None:
    audit, send = Audit(store), SendMessage(text="secret", session_id="s")
    audit.asked(request("message.send"), send)
    assert told(store) == []
    audit.failed(request("message.send"), send, NotFound("No.", code="session_not_found"))
    audit.failed(request("session.kill"), StopSession(session_id="s"), NotFound("No."))
    assert told(store) == [{"op": "message.send", "actor": "local", "session": "s", "refused": "session_not_found"}]


def test_an_opening_is_recorded_with_its_session_and_not_before(store: Store) -> None:
    audit, create = Audit(store), CreateSession(project_path="/p")
    audit.asked(request("session.create"), create)
    assert told(store) == []
    audit.failed(request("session.create"), create, Busy("No room."))
    audit.opened_before(request("session.create", "token:phone"), "s")
    assert told(store) == [
        {"op": "session.create", "actor": "local", "session": None, "refused": "busy"},
        {"op": "session.create", "actor": "token:phone", "session": "s", "duplicate": True},
    ]


async def test_refusals_are_told_up_to_a_bound_and_then_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(audit_module.time, "monotonic", lambda: now[0])
    audit = Audit(store)
    call = RefusedCall(call="DELETE /api/sessions/<id>", needed="admin", scope="read", session_id="x" * 10_000)
    for _ in range(10 * REFUSALS):
        await audit.note(call, request("audit.refused", "token:wall"))
    await audit.note(call, request("audit.refused", "token:other"))
    assert [data["actor"] for data in told(store)] == ["token:wall"] * REFUSALS + ["token:other"]
    now[0] += audit_module.REFUSAL_SECONDS
    await audit.note(call, request("audit.refused", "token:wall"))
    last = told(store)[-1]
    assert last.pop("session") == "x" * 100
    assert last == {
        "op": "DELETE /api/sessions/<id>",
        "actor": "token:wall",
        "refused": "insufficient_scope",
        "needed": "admin",
        "scope": "read",
        "untold": 9 * REFUSALS,
    }


def test_what_a_key_may_not_do_is_recorded_and_only_we_can_tell_of_refusals(store: Store) -> None:
    audit = Audit(store)
    eye = BusClientKey(name="eye", scope="read", public_key="k", created_at=0)
    hand = BusClientKey(name="hand", scope="admin", public_key="h", created_at=0)
    with pytest.raises(Forbidden):
        audit.permit(request("session.kill", sessionId="s"), eye)
    assert [(data["op"], data["actor"], data["needed"]) for data in told(store)] == [
        ("session.kill", "key:eye", "admin")
    ]
    assert audit.permit(request("session.kill", sessionId="s"), hand).op == "session.kill"
    with pytest.raises(Forbidden) as refused:
        permit(request("audit.refused", call="x", needed="admin", scope="read"), hand)
    assert refused.value.error_code == "local_only"


def test_tokens_and_keys_that_come_change_and_go_are_recorded_also_over_a_restart(store: Store, paths: Paths) -> None:
    keyring, clients = Keyring(paths), BusKeyring(paths).clients
    keyring.ensure()
    keyring.named.add("old", "read")

    def look() -> list[tuple[str, str, str]]:
        before = len(told(store))
        AccessWatch(store, paths, logging.getLogger("test")).look()
        return [(data["op"], data["name"], data["scope"]) for data in told(store)[before:]]

    assert look() == []  # the first look of all: nobody knows since when they are there
    secret = keyring.named.add("phone", "chat")
    clients.add("monitor", "read", "k" * 40)
    assert look() == [("bus-keys.add", "monitor", "read"), ("tokens.add", "phone", "chat")]
    assert look() == []
    keyring.named.rotate("phone")
    keyring.default.rotate()
    assert look() == [("tokens.rotate", "default", "admin"), ("tokens.rotate", "phone", "chat")]
    keyring.named.revoke("old")
    clients.revoke("monitor")
    assert look() == [("bus-keys.revoke", "monitor", "read"), ("tokens.revoke", "old", "read")]
    devices = Devices(paths, keyring)
    record, _ = devices.redeem("phone", link=devices.invite("answer").link)
    assert look() == [("devices.add", f"phone ({record.id})", "answer")]
    devices.revoke(record.id)
    assert look() == [("devices.revoke", f"phone ({record.id})", "answer")]
    assert {data["actor"] for data in told(store)} == {"local"}
    assert secret not in str(told(store))
