"""Who may not (any more): a token that was revoked, and another user of the same machine."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shared.access.tokens import NamedTokens, TokenFile
from tests import strangers
from tests.conftest import LendHouse
from tests.event_stream import Stream
from tests.harness import House, until
from tests.onlooker import Web

SOON_SECONDS = 12.0
"""Before the next heartbeat would be due, on a machine that is late with everything."""

SECRET = "the-secret-of-the-session"


@pytest.fixture
def house(lend_house: LendHouse, one_cli: Path) -> House:
    """With its API; what is tested here does not depend on the CLI."""
    house = lend_house(one_cli)
    house.start_api()
    return house


def terminal(house: House, session: str, query: str = "", token: str | None = None) -> Web:
    address = house.api_address()
    assert address is not None
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    web = Web(address, f"/api/sessions/{session}/terminal?{query}", sent)
    web.until(lambda: web.snapshots, "a snapshot")
    return web


def test_another_user_can_neither_read_nor_reach_anything(house: House, folder: Path) -> None:
    attached = {"data": base64.b64encode(SECRET.encode()).decode(), "name": "secret.txt"}
    wanted = {
        "projectPath": str(house.project),
        "mcpConfig": {"mcpServers": {}, "x": SECRET},
        "appendSystemPrompt": SECRET,
    }
    session = house.call("session.create", wanted)["id"]
    house.call("session.recording", {"sessionId": session, "start": True})
    house.ask(f"echo: {SECRET}", session, attachments=[attached])
    house.call("search", {"query": "secret"})
    view = house.session(session)
    assert house.supervisor is not None
    assert house.api is not None
    pids = {house.supervisor.pid, house.api.pid, view["pid"], view["holderPid"]}

    # What hides the tests' own folder must not be what protects: everybody may come as far as the door.
    for place in (folder, house.folder):
        place.chmod(0o755)
    homes = {house.paths.home, house.paths.run_dir, house.paths.log_dir}
    ours = {path for home in homes for path in strangers.below(home)}
    names = {path.name for path in ours}
    assert {"token", "pilotlight.db", "search.db", "secret.txt", "mcp.json", "bus.sock", "terminal.sock"} <= names
    assert sum(strangers.kind_of(path) == "socket" for path in ours) >= 4, "bus, events, terminal, a holder"

    door = house.folder / "door.txt"
    door.write_text("open")
    door.chmod(0o666)
    if strangers.can_become_another():
        managed = strangers.tried({door, *ours}, pids)
        assert ("read", str(door)) in managed, "the probe works"
    else:
        managed = strangers.by_modes({door, *ours})
    assert {deed for deed in managed if deed[1] != str(door)} == {("stat", str(home)) for home in homes & top(homes)}

    # Command lines are for everybody to read.
    for pid in pids:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        assert not any(secret in words for secret in (SECRET, house.token)), words
    assert house.http("GET", f"/api/sessions/{session}/history", token=None)[0] == 401
    assert json.dumps(house.http("GET", "/health", token=None)[1]).find(session) < 0


def top(homes: set[Path]) -> set[Path]:
    """Those that lie in no other: their names are no secret."""
    return {home for home in homes if not homes & set(home.parents)}


def test_who_lost_the_token_hears_no_more_and_the_others_hear_on(house: House) -> None:
    _, session = house.ask("echo: warm")
    tokens = NamedTokens(house.paths.tokens_file)
    phone, wall, page = tokens.add("phone", "read"), tokens.add("wall", "admin"), tokens.add("page", "read")

    def ticket(mode: str) -> str:
        status, body = house.http("POST", "/api/tickets", {"mode": mode, "session": session}, token=page)
        assert status == 201
        return str(body["ticket"])

    # By token and by ticket, to look and to type; one that is busy, one that is quiet.
    streams = [
        Stream(house, "/api/events", token=phone),
        Stream(house, f"/api/sessions/{session}/stream", token=wall),
        Stream(house, "/api/events?kinds=nothing", token=page),
    ]
    webs = [
        terminal(house, session, token=phone),
        terminal(house, session, "mode=write", token=wall),
        terminal(house, session, f"ticket={ticket('read')}"),
    ]
    unused = ticket("read"), ticket("events")
    stays, stays_too = Stream(house, "/api/events"), terminal(house, session, token=house.token)
    held = house.send("[[stream 5]] echo: " + "word " * 100, session, wait=0)["message"]["id"]

    tokens.revoke("phone")
    tokens.rotate("wall")
    tokens.revoke("page")
    for web in webs:
        web.until(lambda web=web: web.closed, "it is hung up", SOON_SECONDS)
        assert web.code == 1008
    for stream in streams:
        stream.deadline(SOON_SECONDS)
        list(stream)
    for secret, mode in zip(unused, ("terminal", "stream"), strict=True):
        assert house.http("GET", f"/api/sessions/{session}/{mode}?ticket={secret}", token=None)[0] == 401
    until(lambda: house.session(session)["writer"] is None, "the keyboard is nobody's")
    assert house.message(held, wait=60)["state"] == "answered", "a turn is nobody's connection"

    house.call("session.update", {"sessionId": session, "title": "still heard"})
    stays.until(lambda frame: frame.data["kind"] == "message" and frame.data["data"]["state"] == "answered")
    assert not stays_too.closed

    # The default token is not revoked, but rotated.
    TokenFile(house.paths.token_file).rotate()
    stays.deadline(SOON_SECONDS)
    list(stays)
    stays_too.until(lambda: stays_too.closed, "it is hung up", SOON_SECONDS)
