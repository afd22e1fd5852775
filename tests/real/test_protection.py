"""What a session may not touch and who may not reach in: asked of the real CLI, with the settings that it is given."""

from __future__ import annotations

import json
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest

from demo.home import demo_environment, prepare_home
from tests.conftest import MakeHouse
from tests.harness import VERSIONS, House, claude_binary, until
from tests.real.test_permissions import answered, tool

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


def test_hooks_and_the_owners_rules_stay_though_a_project_or_a_person_switches_hooks_off(house: House) -> None:
    house.config["permissions"] = {"rules": [DENY]}
    house.kill_supervisor()
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


def reach_in(house: House, session: str, text: str) -> None:
    """What another `claude` of this account does to send a message: through the session's inbox socket."""
    folder = house.claude_home / ".claude" / "sessions"
    pid = house.session(session)["pid"]
    inbox = json.loads((folder / f"{pid}.json").read_text())["messagingSocketPath"]
    token = json.loads(next(folder.glob(f"{pid}.*.key")).read_text())["peerToken"]
    message = {"role": "user", "content": text}
    lines: list[dict[str, Any]] = [
        {"type": "auth", "token": token},
        {"type": "user", "msg_id": str(uuid.uuid4()), "from": "uds:/x.sock", "priority": "now", "message": message},
    ]
    with socket.socket(socket.AF_UNIX) as sender:
        sender.settimeout(30)
        sender.connect(inbox)
        sender.sendall("".join(json.dumps(line) + "\n" for line in lines).encode())
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(4096):  # until the other end has read it all
            pass


def of_peers(house: House) -> list[bytes]:
    return [body for body in house.model.bodies() if b"PEER" in body]


def test_another_process_starts_a_turn_only_where_the_configuration_says_so(make_house: MakeHouse) -> None:
    claude = claude_binary(VERSIONS[-1])
    house = make_house(claude, name="closed")
    house.start_supervisor()
    session = house.ask("echo: one")[1]
    reach_in(house, session, "echo: PEER")
    assert house.ask("echo: two", session)[0] == "two"
    assert of_peers(house) == []

    open_house = make_house(claude, name="open")
    open_house.config["claude"]["cross_session"] = "accept"
    open_house.start_supervisor()
    session = open_house.ask("echo: one")[1]
    reach_in(open_house, session, "echo: PEER")
    until(lambda: of_peers(open_house), "the turn of the peer has begun")
    assert open_house.ask("echo: PEER", session)[0] == "PEER"  # a message of ours with the same words has its own reply


def test_the_agent_view_takes_no_session_away(house: House) -> None:
    session = house.ask("echo: one")[1]
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
