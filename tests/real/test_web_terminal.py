"""The terminal over a WebSocket: for whom it may be, and one writer at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyghostty import Terminal

from shared import asciicast
from tests.conftest import LendHouse
from tests.harness import House, until
from tests.onlooker import Refused, Web
from tests.real.test_terminal import open_session


@pytest.fixture
def served(lend_house: LendHouse, one_cli: Path) -> House:
    """With an API."""
    house = lend_house(one_cli)
    house.start_api()
    return house


def open_web(house: House, session: str, query: str = "", token: str | None = "default", **headers: str) -> Web:
    """A WebSocket on a session's terminal."""
    address = house.api_address()
    assert address is not None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {house.token if token == 'default' else token}"
    return Web(address, f"/api/sessions/{session}/terminal?{query}", sent)


def refusal(house: House, session: str, query: str = "", token: str | None = "default", **headers: str) -> int:
    """The status that such a WebSocket is refused with."""
    with pytest.raises(Refused) as caught:
        open_web(house, session, query, token, **headers)
    return caught.value.status


def test_websocket_for_whom_it_may_be_and_one_writer_at_a_time(served: House) -> None:
    house = served
    session = open_session(house)
    other = "123e4567-e89b-42d3-a456-426614174000"

    # Who may not.
    assert refusal(house, session, token=None) == 401
    assert refusal(house, session, token="wrong") == 401
    assert refusal(house, session, Origin="https://evil.example") == 403
    assert refusal(house, session, Host="evil.example") == 403
    assert refusal(house, session, Sec_WebSocket_Version="8") == 426
    assert refusal(house, session, Sec_WebSocket_Key="short") == 426
    assert refusal(house, other) == 404
    assert house.http("GET", f"/api/sessions/{session}/terminal")[0] == 426

    # A ticket: once, for what it was asked for.
    def ticket(**wish: str) -> str:
        status, body = house.http("POST", "/api/tickets", wish)
        assert (status, body["expiresIn"]) == (201, 30.0)
        return str(body["ticket"])

    address = house.api_address()
    own = f"http://{address[0]}:{address[1]}" if address else ""
    first = ticket(mode="read", session=session)
    reader = open_web(house, session, f"ticket={first}", token=None, Origin=own)
    assert refusal(house, session, f"ticket={first}", token=None) == 401
    assert refusal(house, session, f"mode=write&ticket={ticket(mode='read', session=session)}", token=None) == 401
    assert refusal(house, other, f"ticket={ticket(mode='read', session=session)}", token=None) == 401
    assert house.http("POST", "/api/tickets", {"mode": "read", "session": other})[0] == 404
    assert house.http("POST", "/api/tickets", {"mode": "admin", "session": session})[0] == 400
    events_ticket = ticket(mode="events", session=session)
    assert house.http("GET", f"/api/events?session={session}&ticket=wrong", token=None)[0] == 401
    assert refusal(house, session, f"ticket={events_ticket}", token=None) == 401

    # The first who writes has the keyboard; the second is told, and may take it.
    ann = open_web(house, session, "mode=write&cols=100&rows=30")
    ann.until(lambda: ann.snapshots, "a snapshot")
    assert ann.last("welcome")["you"]
    ann.send(json.dumps({"type": "input", "data": "echo: by "}))
    ann.send(b"ann")
    ann.until_shown("❯ echo: by ann")
    bob = open_web(house, session, "mode=write&cols=110&rows=32")
    bob.until_shown("❯ echo: by ann")
    assert not bob.last("welcome")["you"]
    assert bob.last("welcome")["writer"]["actor"] == house.session(session)["writer"]
    bob.send(b"X")
    bob.until_told(code="not_writer")
    bob.say("steal")
    bob.until(lambda: bob.told and bob.last("snapshot")["cols"] == 110, "bob's size")
    ann.until_told(type="writer", you=False)
    bob.send(b" and bob\r")
    for everyone in (ann, bob, reader):
        everyone.until_shown("● by ann and bob")
    until(lambda: house.session(session)["viewers"] == 3, "three look")
    assert house.session(session)["attached"] == 2
    reader.send(b"no")
    reader.until_told(code="read_only")

    # Screen, size and recording, beside it.
    status, text = house.http("GET", f"/api/sessions/{session}/screen?format=text")
    assert (status, "● by ann and bob" in text.decode()) == (200, True)
    status, page = house.http("GET", f"/api/sessions/{session}/screen?format=html")
    assert (status, b"<div" in page, b"by ann and bob" in page) == (200, True, True)
    assert house.http("POST", f"/api/sessions/{session}/resize", {"cols": 80, "rows": 24})[0] == 409
    assert house.http("GET", f"/api/sessions/{session}/recording")[0] == 404
    assert house.http("POST", f"/api/sessions/{session}/recording", {"start": True})[1]["recording"]

    # The supervisor dies and comes back; nobody has to connect again.
    house.kill_supervisor()
    for everyone in (bob, reader):
        everyone.until(lambda who=everyone: who.told[-1]["type"] == "away", "away")
    house.start_supervisor()
    bob.until(lambda: bob.last("welcome")["you"], "bob has the keyboard again")
    bob.send(b"echo: later\r")
    reader.until_shown("● later")
    bob.close()
    ann.close()
    until(lambda: house.session(session)["attached"] == 0, "the writers have left")
    assert house.http("POST", f"/api/sessions/{session}/resize", {"cols": 80, "rows": 24})[0] == 200
    reader.until(lambda: reader.screen.size == (80, 24), "the new size")
    assert not house.http("POST", f"/api/sessions/{session}/recording", {"start": False})[1]["recording"]

    # What was recorded shows what was seen.
    status, cast = house.http("GET", f"/api/sessions/{session}/recording")
    lines = cast.decode().splitlines()
    head = asciicast.read_header(lines[0].encode())
    replay = Terminal(cols=head["width"], rows=head["height"])
    for at, kind, data in map(json.loads, lines[1:]):
        assert at >= 0
        if kind == "r":
            replay = Terminal(cols=int(data.split("x")[0]), rows=int(data.split("x")[1]))
        else:
            replay.feed(data)
    assert "● later" in replay.text()
    reader.send("no JSON")
    reader.until(lambda: reader.code == 1008, "who talks nonsense is sent away")
