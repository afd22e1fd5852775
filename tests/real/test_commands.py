"""Slash commands with what they visibly say, on both releases."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from shared.errors import Conflict, InvalidRequest
from supervisor.claude.command_line import events_of
from tests.harness import House, until


def run(house: House, session: str, command: str, **more: Any) -> dict[str, Any]:
    return house.call("session.command", {"sessionId": session, "command": command, **more}, timeout=60)


def test_a_command_runs_as_written_and_says_what_the_cli_says(house: House, warm: str) -> None:
    _, session = house.ask("Remember the word FIG", warm)
    for unknown in ("/comp", "/nonsense abc"):  # the list of completions would make the first one /compact
        result = run(house, session, unknown, key=unknown)
        assert result["state"] == "answered"
        assert f"Unknown command: {unknown.split()[0]}" in result["output"]
    again = run(house, session, "/comp", key="/comp")
    assert again["duplicate"]
    assert run(house, session, "/rename Fruit")["output"] == "Session renamed to: Fruit"
    house.ask("echo: more to compact", session)
    before = house.session(session)
    compacted = run(house, session, "/compact")
    assert compacted["state"] == "answered"
    assert "ompact" in compacted["output"]
    after = house.session(session)
    assert (after["conversationId"], after["pid"]) == (before["conversationId"], before["pid"])
    assert house.ask("What word did I ask you to remember?", session)[0] == "FIG"
    kinds = [(item["role"], item["text"]) for item in house.call("history", {"sessionId": session})["entries"]]
    assert ("command", "/compact") in kinds
    for refused in ("/exit", "/quit", "/resume", "compact", "/", "//x", "/a\n/b", "/compact \\", ""):
        with pytest.raises(InvalidRequest):
            run(house, session, refused)


def test_a_command_that_starts_a_turn_is_answered_by_it(house: House) -> None:
    folder = house.project / ".claude" / "commands"
    folder.mkdir(parents=True)
    (folder / "own.md").write_text("echo: my own command $ARGUMENTS")
    _, session = house.ask("echo: hello")
    result = run(house, session, "/own words")
    assert result["state"] == "answered"
    assert "my own command" in result["output"]


def test_clear_changes_the_conversation_and_everything_follows(house: House) -> None:
    _, session = house.ask("Remember the word DATE")
    before = house.session(session)
    cleared = run(house, session, "/clear")
    assert cleared["state"] == "answered"
    old = before["conversationId"]
    until(lambda: house.session(session)["conversationId"] != old, "its hook has told of another conversation")
    after = house.session(session)
    new = after["conversationId"]
    assert (after["id"], after["pid"]) == (before["id"], before["pid"])
    locks = house.claude_home / ".claude" / "pilotlight-locks"

    def locked(conversation: str) -> str:
        lock = locks / f"{conversation}.lock"
        return lock.read_text() if lock.exists() else ""

    until(lambda: str(after["pid"]) in locked(new), "the lock follows")
    until(lambda: locked(old) == "", "the one before is let go")
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})  # before anything is said in it
    assert "not asked" in house.ask("What word did I ask you to remember?", session)[0]
    house.ask("Remember the word LOQUAT", session)

    with pytest.raises(Conflict):
        house.call("session.create", {"projectPath": str(house.project), "resume": new})
    other = house.call("session.create", {"projectPath": str(house.project), "resume": old, "wait": 20})["id"]
    assert house.ask("What word did I ask you to remember?", other)[0] == "DATE"

    house.kill_supervisor()
    house.start_supervisor()
    house.until_state(session, "idle")  # a holder that is slow is taken up after the supervisor is back
    house.call("session.hibernate", {"sessionId": session})
    assert house.ask("What word did I ask you to remember?", session)[0] == "LOQUAT"
    entries = house.call("history", {"sessionId": session})["entries"]
    assert [entry["conversationId"] for entry in entries] == sorted(
        (entry["conversationId"] for entry in entries), key=[old, new].index
    )
    assert entries[0]["text"] == "Remember the word DATE"
    assert ("command", "/clear") in [(entry["role"], entry["text"]) for entry in entries]


def test_a_command_waits_for_a_draft_and_for_its_turn(house: House, warm: str) -> None:
    session = warm
    house.call("session.keys", {"sessionId": session, "text": "my draft"})
    until(lambda: house.session(session)["draft"], "the draft is on the screen")
    waiting = run(house, session, "/rename Later", wait=0)
    assert waiting["state"] == "queued"
    until(lambda: "my draft" in house.call("session.screen", {"sessionId": session})["text"], "the draft stays")
    assert "begun to write in the prompt box" in house.session(session)["held"]
    house.call("session.keys", {"sessionId": session, "keys": ["C-u"]})
    done = house.message(waiting["messageId"], wait=30)
    assert (done["state"], done["kind"], done["reply"]) == ("answered", "command", "Session renamed to: Later")


def compacting(house: House, session: str, gate: str) -> str:
    """A `/compact` that takes its time; the message."""
    message: str = run(house, session, f"/compact [[gate {gate}]]", wait=0)["messageId"]
    assert house.model.wait_for_gate(gate, 30)
    until(lambda: house.message(message)["state"] == "submitted", "it is taken")
    return message


def test_a_command_that_takes_its_time_is_ended_and_leaves_nothing_in_the_box(house: House, warm: str) -> None:
    _, session = house.ask("Remember the word FIG", warm)
    house.ask("echo: more to compact", session)
    message = compacting(house, session, "asked")
    until(lambda: house.session(session)["state"] == "busy", "it works")
    behind = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    assert house.call("session.interrupt", {"sessionId": session})["rung"] == "escape"
    assert house.message(message, wait=30)["state"] == "interrupted"
    assert house.message(behind, wait=30)["reply"] == "FIG"

    message = compacting(house, session, "pressed")
    behind = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    until(lambda: house.session(session)["state"] == "busy", "it works")
    house.call("session.keys", {"sessionId": session, "keys": ["Escape"]})
    assert house.message(message, wait=30)["state"] == "interrupted"
    assert house.message(behind, wait=30)["reply"] == "FIG"

    message = compacting(house, session, "way")
    sent = house.send("What word did I ask you to remember?", session, interrupt=True, wait=30)
    assert (sent["interrupted"], sent["message"]["reply"]) == ("escape", "FIG")
    assert house.message(message)["state"] == "interrupted"
    assert house.session(session)["draft"] is False


def test_a_command_behind_a_dialog_does_not_show_it_as_its_own(house: House, warm: str) -> None:
    session = warm
    assert run(house, session, "/model")["waiting"]
    behind = run(house, session, "/rename Later", wait=5)
    assert (behind["state"], behind["waiting"]) == ("queued", None)
    waiting = house.session(session)["waiting"]
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "escape"})
    assert house.message(behind["messageId"], wait=30)["reply"] == "Session renamed to: Later"


def test_a_menu_is_data_and_an_answer_to_it_is_the_commands_output(house: House) -> None:
    _, session = house.ask("echo: hello")
    opened = run(house, session, "/model")
    assert opened["state"] == "submitted"
    assert opened["waiting"]["for"] == "dialog"
    assert len(opened["waiting"]["choices"]) > 3
    behind = house.send("echo: behind", session, wait=0)["message"]["id"]

    def settled() -> bool:
        """Choose; one release then asks again, since the conversation is cached for the model it has."""
        waiting = house.session(session)["waiting"]
        if waiting:
            wanted = [c["id"] for c in waiting["choices"] if c["label"].startswith(("Sonnet", "Yes"))]
            with contextlib.suppress(Conflict):
                house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": wanted[0]})
        return bool(house.message(opened["messageId"])["state"] == "answered")

    until(settled, "the command is over")
    assert "Sonnet" in house.message(opened["messageId"])["reply"]
    assert house.message(behind, wait=30)["reply"] == "behind"
    view = house.session(session)
    if "PostModelSwitch" in events_of(view["claudeVersion"]):
        assert "sonnet" in view["model"], "it is that of the next process, too"
