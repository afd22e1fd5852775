"""What a session may not touch and who may not reach in: asked of the real CLI, with the settings that it is given."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.home import demo_environment, prepare_home
from shared.errors import Conflict
from tests.conftest import LendHouse, MakeHouse
from tests.harness import VERSIONS, House, claude_binary, until
from tests.peer import of_session, reach_in
from tests.real.permission_lab import answered, tool
from tests.real.test_history import history

DENY = {"tool": "Bash", "pattern": "touch*", "answer": "deny", "message": "The OWNER refuses it."}


def test_tokens_databases_and_other_sessions_are_closed_to_claudes_own_tools(house: House) -> None:
    house.start_api()
    other = house.ask("echo: a SECRET of another", attachments=[{"name": "a.txt", "data": "U0VDUkVU"}])[1]
    attached = next((house.paths.session_dir(other) / "attachments").rglob("a.txt"))
    closed = [house.paths.token_file, house.paths.database, house.paths.config_file, attached]
    closed.append(house.paths.session_dir(other) / "hooks.log")
    closed.append(next(house.paths.temporary_dir(other).iterdir()) / "tasks" / "x.output")
    reading = "".join(tool("Read", file_path=str(file)) for file in closed)
    writing = tool("Write", file_path=str(house.paths.session_dir(other) / "outbox" / "m.pending"), content="forged")
    sent = house.send(reading + writing)  # nobody is asked
    assert sent["message"]["state"] == "answered", sent["session"]["waiting"]
    session = sent["session"]["id"]
    assert house.model.bodies()[-1].count(b"denied by your permission settings") == len(closed) + 1

    own = house.send("[[say read]]", session, attachments=[{"name": "b.txt", "data": "T1dO"}])["message"]
    mine = own["attachments"][0]["path"]
    assert "OWN" in house.ask(tool("Read", file_path=mine), session)[0]

    # A person at the terminal, past everything of ours.
    turns = len(house.model.turns())
    text = f"see @{house.paths.token_file} and @{attached} "
    house.call("session.keys", {"sessionId": session, "text": text})
    until(lambda: house.session(session)["draft"], "it stands in the box")

    def entered() -> bool:  # the first Enter may go to the list of files that is open
        house.call("session.keys", {"sessionId": session, "keys": ["Enter"]})
        return house.model.wait_for_turns(turns + 1, 1)

    until(entered, "the prompt is entered")
    house.until_state(session, "idle")
    said = b"".join(house.model.bodies())
    assert house.token.encode() not in said
    assert b"SECRET" not in b"".join(body for body in house.model.bodies() if session.encode() in body)


@pytest.mark.turns
def test_hooks_and_the_owners_rules_stay_though_a_project_or_a_person_switches_hooks_off(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    house.config["permissions"] = {"rules": [DENY]}
    house.start_supervisor()
    off = json.dumps({"disableAllHooks": True})
    (house.project / ".claude").mkdir()
    for name in ("settings.json", "settings.local.json"):
        (house.project / ".claude" / name).write_text(off)
    own = house.claude_home / ".claude" / "settings.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), "disableAllHooks": True}))
    sent = house.send(tool("Bash", command="touch x"))
    assert "The OWNER refuses it." in answered(house, sent["message"]["id"])
    told = [event["data"] for event in house.events(session=sent["session"]["id"]) if event["kind"] == "answered"]
    assert [(data["by"], data["decision"]) for data in told] == [("policy", "deny")]
    assert not (house.project / "x").exists()


@pytest.mark.turns
def test_where_hooks_are_off_claude_itself_refuses_what_the_owner_refuses_and_the_session_says_so(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    house.config["permissions"] = {"rules": [DENY, {"tool": "mcp__*", "answer": "deny"}]}
    house.config["permissions"]["rules"] += [{"tool": "WebFetch", "pattern": "*evil*", "answer": "deny"}]
    house.config["claude"]["args"] = ["--bare"]  # like managed settings: nothing of ours wins over it
    house.start_supervisor()
    sent = house.send(tool("Bash", command="touch x"))
    session = sent["session"]["id"]
    assert sent["message"]["state"] == "answered", sent["session"]["waiting"]
    assert "has been denied" in sent["message"]["reply"]
    assert not (house.project / "x").exists()
    until(lambda: house.session(session)["health"] == "no_hooks", "it says that its hooks are off")
    told = of_kind(house, session, "hooks_off")
    assert told == [{"refused": ["Bash(touch*)", "mcp__*"], "left": ["WebFetch(*evil*)"]}]
    checks = {check["name"]: check["status"] for check in house.call("health")["checks"]}
    assert checks["hooks"] == "warn"


@pytest.mark.turns
def test_a_tool_does_not_answer_its_own_request(house: House) -> None:
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"permissions": {"allow": ["Bash(sh forge.sh*)"]}}))
    allow = {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}}
    (house.project / "allow").write_text(json.dumps(allow))
    forge = """until [ -p "$(ls "$PILOTLIGHT_SESSION_DIR"/spool/*.answer)" ]; do sleep 0.1; done 2>/dev/null
cat allow > "$(ls "$PILOTLIGHT_SESSION_DIR"/spool/*.answer)"
echo >> forged
"""
    (house.project / "forge.sh").write_text(forge)
    background = tool("Bash", command="sh forge.sh", run_in_background=True)
    sent = house.send(background + tool("Bash", command="touch x"), wait=0)
    session = sent["session"]["id"]
    until(lambda: (house.project / "forged").exists(), "the answer is forged")
    waiting = house.until_state(session, "waiting")["waiting"]
    assert waiting["input"]["command"] == "touch x"
    assert not (house.project / "x").exists()
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "deny"})
    assert house.message(sent["message"]["id"], wait=30)["state"] == "answered"
    assert not (house.project / "x").exists()


def of_peers(house: House) -> list[bytes]:
    return [body for body in house.model.bodies() if b"PEER" in body]


def test_another_process_starts_a_turn_only_where_the_configuration_says_so(
    make_house: MakeHouse, lend_house: LendHouse
) -> None:
    claude = claude_binary(VERSIONS[-1])
    house = lend_house(claude)
    session = house.ask("echo: one")[1]
    reach_in(house, session, "echo: PEER")
    assert house.ask("echo: two", session)[0] == "two"
    assert of_peers(house) == []

    open_house = make_house(claude, name="open")
    open_house.config["claude"]["cross_session"] = "accept"
    settings = open_house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"permissions": {"allow": ["Bash(cat *)"]}}))
    gate = open_house.project / "gate"
    os.mkfifo(gate)
    open_house.start_supervisor()
    session = open_house.ask("echo: one")[1]
    reach_in(open_house, session, "echo: PEER")
    until(lambda: of_peers(open_house), "the turn of the peer has begun")
    assert open_house.ask("echo: PEER", session)[0] == "PEER"  # a message of ours with the same words has its own reply

    def meanwhile(text: str, words: str, priority: str) -> dict[str, Any]:
        """A message of ours in whose turn a peer's words come in."""
        before = len(of_kind(open_house, session, "tool"))
        sent = open_house.send(tool("Bash", command=f"cat {gate}") + text, session, wait=0)["message"]["id"]
        until(lambda: len(of_kind(open_house, session, "tool")) > before, "its tool runs")
        reach_in(open_house, session, words, priority)
        until(
            lambda: is_opened(gate) or open_house.message(sent)["state"] != "submitted", "its tool goes on, or is ended"
        )
        return open_house.message(sent, wait=30)

    assert meanwhile("echo: two", "echo: PEER two", "next")["reply"] == "two"
    cut = meanwhile("echo: three", "echo: PEER three", "now")
    assert (cut["state"], cut["reply"]) == ("interrupted", None), "the peer has got the reply"
    said = [(entry["source"], entry["text"]) for entry in history(open_house, session)["entries"]]
    peers = [text for source, text in said if source == "peer"]
    assert peers == ["echo: PEER", "echo: PEER two", "echo: PEER three"]
    assert said.count(("api", "echo: PEER")) == 1


def is_opened(gate: Path) -> bool:
    """Whether what reads the pipe has been let go."""
    try:
        end = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.close(end)
    return True


def of_kind(house: House, session: str, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events(session=session) if event["kind"] == kind]


def is_decided(house: House, session: str, words: str, choice: str) -> bool:
    """Whether the message with these words was decided now: what was answered a moment ago may still be there, and where Claude
    draws a question anew it is another one."""
    waiting = house.session(session)["waiting"]
    if waiting is None or words not in waiting["text"]:
        return False
    assert (waiting["for"], waiting["title"]) == ("peer", "Held message from another session")
    with suppress(Conflict):
        house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": choice})
        return True
    return False


def test_a_message_of_another_session_that_claude_asks_about_is_delivered_once_somebody_says_so(
    make_house: MakeHouse,
) -> None:
    house = make_house(claude_binary(VERSIONS[-1]))
    house.config["claude"]["cross_session"] = "ask"
    house.start_supervisor()
    session = house.ask("echo: one")[1]
    for number, choice in enumerate(("Deny — drop it and tell the sender it was declined", "2")):
        reach_in(house, session, of_session(f"echo: PEER {number}", "bypass"))
        until(partial(is_decided, house, session, f"echo: PEER {number}", choice), "it is asked about, and decided")
    until(lambda: of_peers(house), "it is delivered")
    house.until_state(session, "idle")

    def peers() -> list[str]:
        return [entry["text"] for entry in history(house, session)["entries"] if entry["source"] == "peer"]

    until(peers, "the transcript has it")
    assert peers() == ["echo: PEER 1"]


def test_the_agent_view_takes_no_session_away(lend_house: LendHouse) -> None:
    house = lend_house(claude_binary(VERSIONS[-1]))  # the one that has it
    session = house.warm()
    pid = house.session(session)["pid"]
    house.call("session.keys", {"sessionId": session, "keys": ["Left"]})
    assert house.ask("echo: two", session)[0] == "two"
    assert house.session(session)["pid"] == pid
    assert house.session(session)["generation"] == 1
    assert not list((house.claude_home / ".claude").glob("daemon*"))


@pytest.mark.turns
def test_the_demo_trusts_no_folder_by_itself(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli, onboarded=False)
    prepare_home(house.claude_home)
    house.extra_env = {"PILOTLIGHT_DEMO": json.dumps(demo_environment(house.claude_home, house.model.url))}
    (house.project / ".claude").mkdir()
    ran = house.project / "ran"
    hook = {"hooks": [{"type": "command", "command": f"touch {ran}"}]}
    (house.project / ".claude" / "settings.json").write_text(json.dumps({"hooks": {"SessionStart": [hook]}}))
    house.start_supervisor()
    sent = house.send("echo: hello")
    waiting = sent["session"]["waiting"]
    assert (sent["session"]["state"], waiting["for"]) == ("waiting", "trust")
    assert sent["session"]["trust"] is False
    assert not ran.exists()
