"""Something removes the folder of a live session: the session says so, and every message has a fate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from supervisor.claude.settings.set_up import EDITOR_NAME
from tests.conftest import LendHouse
from tests.faults.pausing import Pauses, first_tries
from tests.harness import House, until


def said(house: House, session: str) -> list[str]:
    return [event["kind"] for event in house.events(session=session) if event["kind"] == "folder_lost"]


@pytest.fixture
def house(lend_house: LendHouse, cli: Path) -> House:
    house = lend_house(cli)
    house.call("settings.patch", {"values": {"health.interval_seconds": 1}})
    return house


def lose(house: House, session: str, part: str = "") -> None:
    folder = house.paths.session_dir(session) / part
    folder.rename(house.folder / "lost")  # at once: what writes into it while it is emptied would keep it
    shutil.rmtree(house.folder / "lost")


def test_while_idle_it_is_said_and_the_next_message_goes_to_a_new_process_and_in_a_turn_the_queue_goes_on(
    house: House,
) -> None:
    _, session = house.ask("Remember the word QUINCE")
    before = house.session(session)
    lose(house, session)
    until(lambda: house.session(session)["health"] == "folder_lost", "the session says so")
    assert house.ask("What word did I ask you to remember?", session)[0] == "QUINCE"
    after = house.session(session)
    assert (after["health"], after["generation"]) == ("ok", before["generation"] + 1)
    assert len(said(house, session)) == 1
    lose(house, session, "spool")
    assert house.ask("echo: again, part of it", session)[0] == "again, part of it"

    first = house.send("[[gate lost]] echo: one", session, wait=0)["message"]["id"]
    until(lambda: house.message(first)["state"] == "submitted", "it is under way")
    second = house.send("echo: two", session, wait=0)["message"]["id"]
    file = {"name": "n.txt", "mimeType": "text/plain", "data": "aGk="}
    queued = house.send("look at it", session, wait=0, attachments=[file])["message"]["id"]
    third = house.send("echo: three", session, wait=0)["message"]["id"]
    earlier = len(said(house, session))
    lose(house, session)
    until(lambda: len(said(house, session)) == earlier + 1, "the session says so")
    house.model.release("lost")
    assert [house.message(message, wait=60)["reply"] for message in (first, second)] == ["one", "two"]
    lost = house.message(queued, wait=60)
    assert (lost["state"], lost["error"]["code"]) == ("failed", "attachments_lost"), "its files went with the folder"
    assert house.message(third, wait=60)["reply"] == "three"


def test_a_request_that_waits_can_still_be_answered(house: House) -> None:
    _, session = house.ask("echo: warm")
    asked = house.send(f"[[tool Bash {json.dumps({'command': 'touch made'})}]] echo: done", session, wait=0)

    def waiting() -> dict[str, Any]:
        return house.session(session)["waiting"] or {}

    before = until(lambda: waiting().get("for") == "permission" and waiting(), "it waits")
    lose(house, session)
    dialog = until(
        lambda: (now := waiting()) and now["id"] != before["id"] and now, "Claude's own dialog is what waits now"
    )
    over = next(event["data"] for event in house.events(session=session) if event["kind"] == "expired")
    assert (over["id"], over["cause"]) == (before["id"], "folder_lost")
    yes = next(choice["id"] for choice in dialog["choices"] if choice["label"].startswith("Yes"))
    house.call("session.answer", {"sessionId": session, "waitingId": dialog["id"], "choice": yes})
    assert house.message(asked["message"]["id"], wait=60)["state"] == "answered"
    assert (house.project / "made").exists()


def test_before_the_editor_can_say_that_the_text_is_in_the_box_it_is_still_ours(house: House) -> None:
    _, session = house.ask("echo: warm")
    folder = house.paths.session_dir(session)
    editor = folder / "bin" / EDITOR_NAME
    said = "printf 'editor claimed"
    dying = editor.read_text().replace(said, f'mv "$dir" "{house.folder}/lost"; exit 0; {said}')
    editor.unlink()
    editor.write_text(dying)
    editor.chmod(0o700)
    assert house.ask("echo: one", session)[0] == "one"
    assert (house.folder / "lost" / "outbox").exists()
    assert house.ask("echo: two", session)[0] == "two"
    assert first_tries(house) == ["echo: warm", "echo: one", "echo: two"]


def test_what_is_in_the_box_is_ours_after_a_restart_of_the_supervisor(house: House) -> None:
    _, session = house.ask("echo: warm")
    pauses = Pauses(house)
    pauses.hold("typed")
    message = house.send("echo: one", session, wait=0)["message"]["id"]
    pauses.reached("typed")
    house.kill_supervisor()
    pauses.release("typed")
    lose(house, session)
    house.start_supervisor()
    assert house.message(message, wait=60)["reply"] == "one"
    assert first_tries(house) == ["echo: warm", "echo: one"]
