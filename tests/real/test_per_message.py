"""The second way to deliver: one `claude -p` for each message, and the way there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.faults.pausing import Pauses, first_tries
from tests.harness import House, until

PER_MESSAGE = {"values": {"chat.mode": "per_message"}}
INTERACTIVE = {"values": {"chat.mode": None}}


def texts(house: House, message: str) -> list[str]:
    """The pieces of text that were told of a message before its receipt was."""
    told = house.events()
    end = next(e["seq"] for e in told if e["kind"] == "message" and e["data"]["message"] == message and final(e))
    return [
        e["data"]["delta"] for e in told if e["kind"] == "text" and e["data"]["message"] == message and e["seq"] < end
    ]


def final(event: dict[str, Any]) -> bool:
    return event["data"]["state"] in ("answered", "failed", "interrupted")


def test_a_conversation_goes_over_to_per_message_and_back_with_its_memory(house: House) -> None:
    _, session = house.ask("Remember the word BANANA")
    house.call("settings.patch", PER_MESSAGE)
    assert house.until_state(session, "hibernated")["delivery"] == "per_message"

    assert "BANANA" in house.ask("What word did I ask you to remember?", session)[0]
    write = json.dumps({"file_path": str(house.project / "new.txt"), "content": "hi"})
    sent = house.send(
        f'[[tool Bash {{"command": "echo out"}}]] [[tool Write {write}]] [[stream 1]] [[size 300]]', session
    )
    message = sent["message"]
    assert message["state"] == "answered"
    assert [tool["name"] for tool in message["toolCalls"]] == ["Bash", "Write"]
    assert message["toolCalls"][1]["isError"]
    assert not (house.project / "new.txt").exists()
    assert message["usage"]["output_tokens"] > 0
    pieces = texts(house, message["id"])
    assert len(pieces) > 3
    assert "".join(pieces).strip().endswith(message["reply"].strip())
    assert house.session(session)["state"] == "hibernated"
    assert house.session(session)["pid"] is None
    for op, args in (("session.keys", {"text": "x"}), ("session.wake", {})):
        with pytest.raises(Conflict) as refused:
            house.call(op, {"sessionId": session, **args})
        assert refused.value.error_code == "per_message", op
    command = house.call("session.command", {"sessionId": session, "command": "/compact", "wait": 10})
    assert (command["state"], command["error"]["code"]) == ("failed", "per_message")
    failed = house.send("[[status 400]] refuse this", session)["message"]
    assert failed["state"] == "failed"
    assert "not valid" in failed["error"]["message"]

    back = house.call("session.update", {"sessionId": session, "delivery": "interactive"})
    assert back["delivery"] == "interactive"
    assert "BANANA" in house.ask("What word did I ask you to remember?", session)[0]
    assert b"echo out" in house.model.bodies()[-1], "what was said in between is known"
    assert house.until_state(session, "idle")["pid"]


def test_a_killed_supervisor_loses_no_message_that_has_a_process_of_its_own(
    make_house: MakeHouse, one_cli: Path
) -> None:
    house = make_house(one_cli)
    house.config["chat"] = {"mode": "per_message"}
    pauses = Pauses(house)
    house.start_supervisor()
    _, session = house.ask("Remember the word PLUM")
    message = house.send("[[gate reply]] echo: once", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("reply", 30)
    house.until_state(session, "busy")
    after = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    house.kill_supervisor()
    house.start_supervisor()
    assert house.session(session)["currentMessage"] == message
    house.model.release("reply")
    assert house.message(message, wait=30)["state"] == "answered"
    assert "PLUM" in house.message(after, wait=30)["reply"]

    # Its whole life while nobody looks; and a start that only just came to be.
    message = house.send("[[gate second]] echo: alone", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("second", 30)
    pid = house.until_state(session, "busy")["pid"]
    house.kill_supervisor()
    house.model.release("second")
    until(lambda: not Path(f"/proc/{pid}").exists(), "its process has ended")
    pauses.hold("launched")
    house.start_supervisor()
    answered = house.message(message, wait=30)
    assert (answered["state"], answered["reply"]) == ("answered", "alone")
    message = house.send("echo: launched", session, wait=0)["message"]["id"]
    pauses.reached("launched")
    house.kill_supervisor()
    pauses.release("launched")
    house.start_supervisor()
    assert house.message(message, wait=30)["state"] == "answered"
    prompts = first_tries(house)
    assert [
        prompts.count(text) for text in ("[[gate reply]] echo: once", "[[gate second]] echo: alone", "echo: launched")
    ] == [1, 1, 1]


def test_a_turn_of_its_own_is_interrupted_with_its_process(house: House) -> None:
    made = house.call("session.create", {"projectPath": str(house.project), "delivery": "per_message"})
    assert made["state"] == "hibernated"
    sent = house.send("[[gate never]] echo: no", made["id"], wait=0)["message"]["id"]
    assert house.model.wait_for_gate("never", 30)
    assert house.call("session.interrupt", {"sessionId": made["id"]})["rung"] == "stopped"
    assert house.message(sent, wait=30)["state"] == "interrupted"
    assert house.ask("echo: on", made["id"])[0] == "on"


def strange(folder: Path, claude: Path) -> Path:
    """The real CLI, whose screen is one that nobody knows for as long as `strange` is there."""
    program = folder / "claude"
    program.write_text(
        f"""#!/bin/sh
for word; do [ "$word" = -p ] && exec {claude} "$@"; done
[ -e {folder}/strange ] || exec {claude} "$@"
[ "$1" = --version ] && exec {claude} "$@"
printf 'A splendid new screen that nobody has ever seen before\\r\\n'
exec sleep 7788
"""
    )
    program.chmod(0o755)
    return program


def test_the_emergency_procedure_work_goes_on_when_no_screen_is_known(
    make_house: MakeHouse, folder: Path, one_cli: Path
) -> None:
    house = make_house(strange(folder, one_cli))
    house.start_supervisor()
    _, session = house.ask("Remember the word QUINCE")
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    (folder / "strange").touch()
    message = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    until(lambda: house.session(session)["pid"], "a process that nobody understands")

    house.call("settings.patch", PER_MESSAGE)
    assert "QUINCE" in house.message(message, wait=40)["reply"]

    (folder / "strange").unlink()
    house.call("settings.patch", INTERACTIVE)
    assert "QUINCE" in house.ask("What word did I ask you to remember?", session)[0]
    house.until_state(session, "idle")
