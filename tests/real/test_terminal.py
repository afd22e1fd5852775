"""Looking at a session and typing into it: on the supervisor's socket, over HTTP and on a WebSocket, with the real CLI."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from shared.errors import Conflict
from tests.conftest import LendHouse, MakeHouse
from tests.faults.pausing import Pauses
from tests.harness import House, until
from tests.onlooker import Viewer, Web

EDITOR = '#!/bin/sh\nprintf "echo: from an editor" > "$1"\n'

FLOOD = """#!{python}
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready\\r\\n")
line = b"".join(b"\\x1b[3%dm%08d " % (n % 8, n) for n in range(60)) + b"\\x1b[0m\\r\\n"
while True:
    key = os.read(0, 1)
    for _ in range(4000 if key == b"f" else 0):
        os.write(1, line)
    os.write(1, b"<" + key + b">")
"""


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Iterator[Callable[..., Viewer]]:
    """Viewers of a house's session."""
    made: list[Viewer] = []

    def open_viewer(house: House, session: str, mode: str = "read", actor: str = "test", **size: int) -> Viewer:
        viewer = Viewer(house.paths.terminal_socket, session, mode, actor, **size)
        made.append(viewer)
        viewer.until(lambda: viewer.snapshots, "a snapshot")
        return viewer

    yield open_viewer
    for viewer in made:
        viewer.close()


Look = Callable[..., Viewer]


def open_session(house: House) -> str:
    """A session that waits for a prompt."""
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    house.until_state(session, "idle")
    return session


def screen(house: House, session: str) -> str:
    """What the supervisor's own emulator shows."""
    text = house.call("session.screen", {"sessionId": session})["text"]
    return "\n".join(row.rstrip() for row in text.replace("\xa0", " ").split("\n")).rstrip()


def events(house: House, session: str, *kinds: str) -> list[tuple[str, Any]]:
    """Kind and data of the session's events of these kinds."""
    return [(e["kind"], e["data"]) for e in house.events(session=session) if e["kind"] in kinds]


def test_a_person_types_a_prompt_sees_the_reply_and_never_merges_with_a_message(house: House, look: Look) -> None:
    session = open_session(house)
    address = house.paths.terminal_socket
    assert stat.S_IMODE(address.stat().st_mode) == 0o600

    viewer = look(house, session, "write", "ann", cols=100, rows=30)
    view = house.session(session)
    assert (view["attached"], view["viewers"], view["writer"]) == (1, 1, "ann")
    before = view["lastActivity"]

    # A draft: it is told, and a message waits for it.
    viewer.type("echo: typed by hand")
    until(lambda: house.session(session)["draft"], "the draft is told")
    sent = house.send("echo: from the api", session, wait=0)["message"]
    viewer.until_shown("❯ echo: typed by hand")
    assert house.message(sent["id"])["state"] == "queued"
    assert house.session(session)["draft"]
    assert [turn for turn in house.model.turns() if "from the api" in turn.prompt] == []

    # Its turn comes when the person has sent theirs.
    viewer.type("\r")
    viewer.until_shown("● typed by hand")
    assert house.message(sent["id"], wait=30)["reply"] == "from the api"
    assert [t.prompt for t in house.model.turns() if t.attempt == 1] == ["echo: typed by hand", "echo: from the api"]
    viewer.until_shown("● from the api")
    viewer.until(lambda: viewer.text == screen(house, session), "both screens are the same")
    assert house.session(session)["lastActivity"] > before

    # The size is the writer's as long as he is there.
    assert viewer.last("snapshot")["cols"] == 100
    viewer.say("resize", cols=90, rows=26)
    viewer.until(lambda: viewer.screen.size == (90, 26), "the new size")
    viewer.close()
    until(lambda: house.call("session.screen", {"sessionId": session})["cols"] == 120, "the size is as before")
    assert house.session(session)["attached"] == 0
    assert [kind for kind, _ in events(house, session, "attached", "detached", "writer")] == [
        "writer", "attached", "writer", "detached",
    ]  # fmt: skip


def test_keys_wait_while_a_message_goes_through_the_box(lend_house: LendHouse, one_cli: Path, look: Look) -> None:
    house = lend_house(one_cli)
    pauses = Pauses(house)
    session = open_session(house)
    viewer = look(house, session, "write")
    pauses.hold("typed")
    sent = house.send("echo: one", session, wait=0)["message"]
    pauses.reached("typed")  # the message stands in the box
    viewer.until_shown("❯ echo: one")

    viewer.type("XYZ")
    viewer.say("snapshot")
    viewer.until(lambda: viewer.last("snapshot")["asked"], "the supervisor has read the keys")
    assert "XYZ" not in screen(house, session)
    with pytest.raises(Conflict) as beside:
        house.call("session.keys", {"sessionId": session, "text": "beside them"})
    assert beside.value.error_code == "not_writer"
    viewer.say("release")
    viewer.until_told(type="writer", writer=None)
    asked = house.bus.submit("session.keys", {"sessionId": session, "text": "abc"}, timeout=60)
    house.call("ping")  # it has been heard
    assert "abc" not in screen(house, session)
    pauses.release("typed")

    assert house.message(sent["id"], wait=30)["reply"] == "one"
    assert asked.result(60)
    viewer.until(lambda: "❯ XYZabc" in viewer.text or "❯ abcXYZ" in viewer.text, "both, each in one piece")
    assert [turn.prompt for turn in house.model.turns() if turn.attempt == 1] == ["echo: one"]


def test_ctrl_g_opens_the_persons_own_editor(make_house: MakeHouse, cli: Path, look: Look) -> None:
    house = make_house(cli)
    editor = house.folder / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    house.config["claude"]["env"]["EDITOR"] = str(editor)
    house.start_supervisor()
    session = open_session(house)
    viewer = look(house, session, "write")

    viewer.type("\x07")
    viewer.until_shown("❯ echo: from an editor")
    until(lambda: house.session(session)["draft"], "the draft is told")
    assert "editor person " in (house.paths.session_dir(session) / "hooks.log").read_text()

    viewer.type("\r")
    viewer.until_shown("● from an editor")
    reply, _ = house.ask("echo: and a message", session)
    assert reply == "and a message"


def test_viewers_stay_while_processes_come_and_go(lend_house: LendHouse, one_cli: Path, look: Look) -> None:
    house = lend_house(one_cli)
    _, session = house.ask("echo: hello")
    reader = look(house, session)
    reader.until_shown("● hello")
    writer = look(house, session, "write", "ann", cols=90, rows=30)

    with pytest.raises(Conflict, match="somebody is attached"):
        house.call("session.hibernate", {"sessionId": session})
    writer.close()
    until(lambda: not house.session(session)["attached"], "the writer has left")

    # One who only looks does not keep it awake, and sees it come back.
    house.call("session.hibernate", {"sessionId": session})
    asleep = reader.until_told(type="state", state="hibernated")
    assert not asleep["live"]
    house.call("session.wake", {"sessionId": session})
    reader.until(lambda: reader.last("snapshot")["generation"] == 2, "the second process")
    reader.until(lambda: reader.text == screen(house, session) and "● hello" in reader.text, "the same screen")

    house.kill_supervisor()
    house.start_supervisor()
    reader.until(lambda: reader.closed, "the supervisor has gone")
    reader = look(house, session)
    reader.until(lambda: reader.text == screen(house, session), "the same screen after a restart")

    # Who had not the keyboard before the restart leaves it to the one who had, even when he is back first.
    first = look(house, session, "write", "ann", keyboard=False)
    assert (first.last("welcome")["you"], first.last("welcome")["writer"]) == (False, None)
    owner = look(house, session, "write", "bob")
    assert owner.last("welcome")["you"]
    owner.close()
    until(lambda: house.session(session)["writer"] is None, "the owner has left")
    first.type("x")
    until(lambda: house.session(session)["writer"] == "ann", "a free keyboard goes to who types")
    first.type("\x7f")
    first.close()
    until(lambda: not house.session(session)["attached"], "the writers have left")

    house.call("session.kill", {"sessionId": session})
    assert reader.until_told(type="state", state="ended")["reason"] == "killed"


def test_a_viewer_that_does_not_read_slows_nobody_and_is_skipped_ahead(make_house: MakeHouse, folder: Path) -> None:
    program = folder / "flood"
    program.write_text(FLOOD.format(python=sys.executable))
    program.chmod(0o755)
    house = make_house(program)
    house.start_supervisor()
    house.start_api()
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    address = house.api_address()
    assert address is not None
    headers = {"Authorization": f"Bearer {house.token}"}
    path = f"/api/sessions/{session}/terminal"
    slow_direct = Viewer(house.paths.terminal_socket, session)
    slow_web = Web(address, path, headers, buffer=4096)
    writer = Web(address, f"{path}?mode=write", headers)
    writer.until_shown("ready")
    slow_direct.until_shown("ready")
    slow_web.until_shown("ready")

    writer.send(b"f")  # some 3 MB of output, that two do not read
    writer.until_shown("<f>")
    writer.send(b"x")
    began = time.monotonic()
    writer.until_shown("<x>")
    assert time.monotonic() - began < 10.0

    for slow in (slow_direct, slow_web):
        before = slow.snapshots
        slow.until_shown("<x>")
        assert slow.snapshots > before
        assert slow.received < 2_000_000 < slow.last("snapshot")["offset"]
        assert slow.text == writer.text
        slow.close()
    writer.close()


def test_what_has_scrolled_away_can_be_seen_and_a_restart_does_not_change_that(
    lend_house: LendHouse, one_cli: Path
) -> None:
    house = lend_house(one_cli)
    session = house.ask("echo: the very first words")[1]
    house.ask("echo: " + "\n".join(f"number {number}" for number in range(60)), session)

    def seen(history: bool) -> str:
        return str(house.call("session.screen", {"sessionId": session, "history": history})["text"])

    assert "number 59" in seen(history=False)
    assert "the very first words" not in seen(history=False)
    assert "the very first words" in seen(history=True)
    assert "number 59" in seen(history=True)
    house.kill_supervisor()
    house.start_supervisor()
    house.until_state(session, "idle")
    assert "the very first words" in seen(history=True)


def test_keys_that_are_asked_for_again_of_the_next_supervisor_are_not_pressed_twice(
    lend_house: LendHouse, one_cli: Path
) -> None:
    house = lend_house(one_cli)
    session = open_session(house)
    context = zmq.Context()
    request = {"v": 1, "id": "mine-1", "op": "session.keys", "args": {"sessionId": session, "text": "word "}}

    def ask() -> Any:
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(house.paths.request_address)
        dealer.send(json.dumps(request).encode())
        assert dealer.poll(20_000)
        return json.loads(dealer.recv())

    assert ask()["ok"]
    until(lambda: house.session(session)["draft"], "the draft")
    house.kill_supervisor()
    house.start_supervisor()
    assert ask()["ok"]  # as a client does that has not heard the first reply
    house.call("session.keys", {"sessionId": session, "text": "end"})
    until(lambda: "word end" in screen(house, session), "what was typed last, behind what was typed first")
    assert "word word" not in screen(house, session)
    context.destroy(0)
