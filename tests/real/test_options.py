"""What `claude` is started with, and changed while it lives: seen in the command line of the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidRequest
from tests.harness import House, until
from tests.onlooker import Viewer


def flags(house: House, session: str) -> list[str]:
    """The command line of the session's process."""
    pid = house.session(session)["pid"]
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except FileNotFoundError:
        return []


def has(words: list[str], flag: str, value: str) -> bool:
    return any(words[i : i + 2] == [flag, value] for i in range(len(words)))


def behind(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def update(house: House, session: str, **values: Any) -> dict[str, Any]:
    return house.call("session.update", {"sessionId": session, **values})


def test_options_at_creation_and_changed_when_idle(house: House) -> None:
    extra = house.folder / "extra"
    extra.mkdir()
    wanted = {
        "projectPath": str(house.project),
        "trust": True,
        "model": "haiku",
        "permissionMode": "acceptEdits",
        "effort": "low",
        "addDirs": [str(extra)],
        "mcpConfig": {"mcpServers": {}},
        "appendSystemPrompt": "Say XYZZY.",
        "wait": 20,
    }
    session = house.call("session.create", wanted)["id"]
    house.until_state(session, "idle")
    words = flags(house, session)
    assert has(words, "--model", "haiku")
    assert has(words, "--permission-mode", "acceptEdits")
    assert has(words, "--effort", "low")
    assert has(words, "--add-dir", str(extra))
    assert not any("XYZZY" in word or "mcpServers" in word for word in words), "everybody may read a command line"
    assert json.loads(Path(behind(words, "--mcp-config")).read_text()) == {"mcpServers": {}}
    house.ask("Remember the word YAM", session)
    assert any(b"Say XYZZY." in body for body in house.model.bodies())

    pid = house.session(session)["pid"]
    view = update(house, session, model="sonnet", effort="high", appendSystemPrompt=None, addDirs=None)
    assert (view["model"], view["effort"], view["addDirs"]) == ("sonnet", "high", [])
    assert house.ask("What word did I ask you to remember?", session)[0] == "YAM"
    words = flags(house, session)
    assert house.session(session)["pid"] != pid
    assert has(words, "--model", "sonnet")
    assert has(words, "--effort", "high")
    assert "--append-system-prompt-file" not in words
    assert "--add-dir" not in words

    pid = house.session(session)["pid"]
    update(house, session, model="sonnet", title="The same")
    assert house.session(session)["pid"] == pid
    for wrong in (
        {"permissionMode": "everything"},
        {"effort": "enormous"},
        {"addDirs": ["relative"]},
        {"mcpConfig": "{"},
        {"mcpConfig": {"servers": {}}},
        {"model": "--help"},
    ):
        with pytest.raises(InvalidRequest):
            update(house, session, **wrong)
        with pytest.raises(InvalidRequest):
            house.call("session.create", {"projectPath": str(house.project), **wrong})
    assert house.session(session)["pid"] == pid


def test_a_change_before_the_first_word_applies_to_it_and_one_during_a_turn_after_it(house: House) -> None:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    update(house, session, model="haiku")
    assert house.ask("echo: first", session)[0] == "first"
    assert has(flags(house, session), "--model", "haiku")

    message = house.send("[[gate turn]] echo: whole", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("turn", 30)
    house.until_state(session, "busy")
    pid = house.session(session)["pid"]
    assert update(house, session, model="sonnet")["settingsPending"]
    behind = house.send("echo: behind", session, wait=0)["message"]["id"]
    assert house.session(session)["pid"] == pid
    house.model.release("turn")
    assert house.message(message, wait=30)["reply"] == "whole"
    assert house.message(behind, wait=30)["reply"] == "behind"
    view = house.session(session)
    assert view["pid"] != pid
    assert not view["settingsPending"]
    assert has(flags(house, session), "--model", "sonnet")

    house.send("[[gate last]] echo: no queue", session, wait=0)
    assert house.model.wait_for_gate("last", 30)
    house.until_state(session, "busy")
    update(house, session, permissionMode="plan")
    house.kill_supervisor()
    house.start_supervisor()
    house.model.release("last")
    until(lambda: has(flags(house, session), "--permission-mode", "plan"), "the new process has the new mode")
    assert house.until_state(session, "idle")["permissionMode"] == "plan"


def test_a_message_is_sent_in_the_mode_that_it_asks_for_also_when_a_person_has_left_it(house: House) -> None:
    def mode_of(session: str) -> str:
        return behind(flags(house, session), "--permission-mode")

    planned = house.send("Remember the word YAM", mode="planning")
    session = planned["session"]["id"]
    assert mode_of(session) == planned["session"]["permissionMode"] == "plan"
    assert house.session(session)["generation"] == 1, "a new session starts in its mode"

    held = house.send("[[gate hold]] echo: still in plan mode", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("hold", 30)
    normal = house.send("echo: normal", session, mode="normal", wait=0)["message"]["id"]
    again = house.send("What word did I ask you to remember?", session, mode="planning", wait=0)["message"]["id"]
    assert mode_of(session) == "plan"
    house.model.release("hold")
    assert house.message(held, wait=30)["reply"] == "still in plan mode"
    assert house.message(normal, wait=30)["reply"] == "normal"
    assert house.message(again, wait=30)["reply"] == "YAM"
    assert (mode_of(session), house.session(session)["generation"]) == ("plan", 3)

    writer = Viewer(house.paths.terminal_socket, session, mode="write", cols=100, rows=30)
    until(lambda: house.session(session)["attached"], "somebody has the keyboard")
    refused = house.send("echo: never", session, mode="normal")["message"]
    assert (refused["state"], refused["error"]["code"]) == ("failed", "mode_not_possible")
    assert "attached" in refused["error"]["message"]
    assert house.ask("echo: in the same mode", session)[0] == "in the same mode"
    assert "echo: never" not in [turn.prompt for turn in house.model.turns()]
    writer.close()
    until(lambda: not house.session(session)["attached"], "they have left")

    def in_plan_mode() -> bool:
        return "plan mode on" in house.call("session.screen", {"sessionId": session})["text"]

    until(in_plan_mode, "plan mode")
    house.call("session.keys", {"sessionId": session, "text": "\x1b[Z"})  # Shift+Tab
    until(lambda: not in_plan_mode(), "another mode")
    house.ask("echo: two", session)
    assert house.session(session)["generation"] == 3
    house.ask("echo: three", session, mode="planning")
    until(in_plan_mode, "plan mode again")
    assert house.session(session)["generation"] == 4
