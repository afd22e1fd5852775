"""The plan's own sequence with shortened times, told through a webhook on loopback: warned, kept alive from the notification,
expired, and reopened by the next message; and a permission that is answered from a notification, once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.harness import PATIENCE, House, until
from tests.push_double import Double, push_service
from tests.real.test_lifetime import a_pass

SECOND = 1 / 3600


def tool(name: str, **given: Any) -> str:
    return f"[[tool {name} {json.dumps(given)}]]"


@contextmanager
def service(folder: Path) -> Iterator[Double]:
    """A push service on a thread of its own, beside a house that blocks."""
    folder.mkdir(exist_ok=True)
    made: list[Double] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with push_service(folder) as double:
            made.append(double)
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        over.set()
        thread.join(PATIENCE)


def titles(double: Double) -> list[str]:
    return [json.loads(seen.body).get("title", "") for seen in double.seen if seen.method == "POST"]


def told(double: Double, words: str) -> dict[str, Any]:
    """The note with these words in its title, once it was sent."""

    def find() -> Any:
        notes = [json.loads(seen.body) for seen in double.seen if seen.method == "POST"]
        return next((note for note in notes if words in note.get("title", "")), None)

    found: dict[str, Any] = until(find, f"{words!r} is told; so far {titles(double)}")
    return found


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    with service(tmp_path / "push") as made:
        yield made


@pytest.fixture
def told_house(double: Double, make_house: MakeHouse, one_cli: Path) -> House:
    """A house with an API that tells an ntfy on loopback, whose health pass runs all the time. It goes before the service does:
    that waits for who is connected."""
    house = make_house(one_cli)
    channel = {"name": "phone", "kind": "ntfy", "server": double.url, "topic": "t"}
    house.config["health"] = {"interval_seconds": 0.3}
    key = house.folder / "apns.p8"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    key.chmod(0o600)
    apns = {"key_file": str(key), "key_id": "K", "team_id": "T", "topic": "org.example.app", "url": double.url}
    house.config["notify"] = {
        "apns": apns,
        "channels": [channel],
        "private_hosts": ["localhost"],
        "ca_file": double.ca_file,
        "url": "https://pilotlight.example.org",
        "answered_seconds": 3600,
    }
    house.start_supervisor()
    house.start_api()
    return house


def press(house: House, note: dict[str, Any], label: str) -> tuple[int, Any]:
    """What a phone does when this button is touched: the path of its link, at the address that the API has here."""
    (action,) = [action for action in note["actions"] if action["label"] == label]
    return house.http("POST", urlsplit(action["url"]).path, token=None)


def test_a_person_is_told_and_answers_from_the_notification_and_a_stale_button_says_who_did(
    told_house: House, double: Double
) -> None:
    _, session = told_house.ask("Remember the word BANANA")
    warned_kept_alive_expired_and_reopened(told_house, double, session)
    permission_is_answered_and_replies_are_pushed(told_house, double, session)


def of_kind(house: House, session: str, kind: str) -> list[dict[str, Any]]:
    """The data of its events of this kind."""
    return [event["data"] for event in house.events(session=session) if event["kind"] == kind]


def warned_kept_alive_expired_and_reopened(house: House, double: Double, session: str) -> None:
    """Kept alive from the notification, and reopened by the next message."""
    house.call("settings.patch", {"values": {"sessions.warning_hours": 1 * SECOND}})

    warned = told(double, "expires in")
    a_pass(house)
    assert len(of_kind(house, session, "warning")) == 1, "it is warned once"
    house.call("settings.patch", {"values": {"sessions.warning_hours": None}})
    before = house.session(session)
    status, answer = press(house, warned, "Keep alive")
    assert (status, answer["done"], answer["sessionId"]) == (200, "Keep alive", session)
    after = house.session(session)
    assert (before["warned"], after["warned"]) == (True, False)
    assert after["expiresAt"] > before["expiresAt"]
    status, again = press(house, warned, "Keep alive")
    assert (status, again["code"]) == (409, "link_used")

    values = {"sessions.warning_hours": 0.5 * SECOND, "sessions.timeout_hours": 1 * SECOND}
    house.call("settings.patch", {"values": values})
    told(double, "has expired")
    assert house.session(session)["endReason"] == "expired"
    with pytest.raises(Conflict):
        house.send("echo: too late", session)
    house.call("settings.patch", {"values": dict.fromkeys(values)})
    body = {"message": "What word did I ask you to remember?", "sessionId": session, "wait": 60}
    status, reply = house.http("POST", "/api/chat", body)
    assert (status, reply["reply"]) == (200, "BANANA")
    assert of_kind(house, session, "reopened") == [{"by": "token:default", "after": "expired"}]

    log = house.call("notification.log")["notices"]
    assert {"warning", "expired"} <= {notice["kind"] for notice in log if notice["state"] in ("told", "withdrawn")}


def pushed(double: Double, device: str) -> dict[str, Any]:
    """What Apple was given for this device, once it was; over HTTP/2, with the team's token."""

    def find() -> Any:
        return next((seen for seen in double.seen if seen.path == f"/3/device/{device}"), None)

    seen = until(find, f"Apple is told; so far {[seen.path for seen in double.seen]}")
    assert seen.headers["authorization"].startswith("bearer ")
    assert (seen.headers["apns-topic"], seen.http) == ("org.example.app", "2")
    found: dict[str, Any] = json.loads(seen.body)
    return found


def permission_is_answered_and_replies_are_pushed(house: House, double: Double, session: str) -> None:
    """A button answers, one that is stale says by whom it was done; a reply goes to the device that asked for it."""
    first = house.send(tool("Bash", command="touch one", description="Make a file"), session, wait=0)
    note = told(double, "asks for permission")
    choice = next(action["label"] for action in note["actions"])
    status, answer = press(house, note, choice)
    assert (status, answer["sessionId"]) == (200, session)
    assert house.message(first["message"]["id"], wait=30)["state"] == "answered"

    seen = len(double.seen)
    house.send(tool("Bash", command="touch two"), session, wait=0)
    until(
        lambda: any(s.method == "POST" and b"asks for permission" in s.body for s in double.seen[seen:]), "asked again"
    )
    note = json.loads(next(s for s in double.seen[seen:] if b"asks for permission" in s.body).body)
    waiting = house.until_state(session, "waiting")["waiting"]
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "deny"})
    status, stale = press(house, note, choice)
    assert (status, stale["code"]) == (409, "answered_already")
    until(lambda: any(s.method == "DELETE" for s in double.seen[seen:]), "it is withdrawn")

    # A client that leaves a token is answered at once, and gets the reply from Apple; what is too long for that is fetched.
    body = {"sessionId": session, "deviceToken": "c0ffee", "requestId": "phone-1"}
    status, sent = house.http("POST", "/api/chat", body | {"message": "Remember the word BANANA"})
    assert (status, sent["deliveryMethod"], sent["content"]) == (202, "apns", "")
    reply = pushed(double, "c0ffee")
    assert (reply["messageId"], reply["requestId"], reply["sessionId"]) == (sent["messageId"], "phone-1", session)
    assert (reply["success"], reply["truncated"]) == (True, False)
    assert "BANANA" in reply["content"]
    assert reply["aps"]["alert"]["body"] == reply["content"] == house.http("GET", reply["fetch"])[1]["reply"]
    long = {"message": f"echo: {'word ' * 2000}", "deviceToken": "facade", "requestId": "phone-2"}
    assert house.http("POST", "/api/chat", body | long)[0] == 202
    reply = pushed(double, "facade")
    assert reply["truncated"]
    assert house.http("GET", reply["fetch"])[1]["reply"].startswith(reply["content"].rstrip("…"))
    assert sum(seen.path.startswith("/3/device/") for seen in double.seen) == 2, "each once"
