"""A form that an MCP server puts before the person: as data, filled in and declined from here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.conftest import MakeHouse
from tests.harness import House, until

ASKER = Path(__file__).resolve().parents[1] / "mcp_asker.py"
ASK = "[[tool mcp__forms__ask {}]]"


def asked(house: House, session: str) -> dict[str, Any]:
    """The form. The dialog of the tool that asks, which a rule has answered, may be seen for a moment before it."""

    def form() -> dict[str, Any] | None:
        waiting = house.session(session)["waiting"]
        return waiting if waiting and waiting["for"] == "elicitation" else None

    return until(form, "the form is asked")


def test_a_form_is_data_and_is_filled_in_or_declined(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    house.config["permissions"] = {"rules": [{"tool": "*", "answer": "allow"}]}
    house.start_supervisor()
    server = {"mcpServers": {"forms": {"command": sys.executable, "args": [str(ASKER)]}}}
    wanted = {"projectPath": str(house.project), "trust": True, "mcpConfig": server, "wait": 20}
    session = house.call("session.create", wanted)["id"]

    message = house.send(ASK, session, wait=0)["message"]["id"]
    waiting = asked(house, session)
    assert (waiting["for"], waiting["text"]) == ("elicitation", "Who are you?")
    assert [(f["name"], f["type"], f["required"]) for f in waiting["fields"]] == [
        ("name", "text", True), ("sure", "boolean", True), ("color", "enum", False),
    ]  # fmt: skip
    assert [choice["id"] for choice in waiting["choices"]] == ["accept", "decline"]
    answers = {"name": "Ada", "sure": "yes", "color": "2"}
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "answers": answers})
    assert house.message(message, wait=30)["state"] == "answered"
    assert told(house) == {"action": "accept", "content": {"color": "green", "name": "Ada", "sure": True}}

    message = house.send(ASK, session, wait=0)["message"]["id"]
    waiting = asked(house, session)
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "decline"})
    assert house.message(message, wait=30)["state"] == "answered"
    assert told(house) == {"action": "decline"}


def told(house: House) -> Any:
    """What the server was answered last, as the model has seen it."""
    body = json.loads(house.model.bodies()[-1])
    results = [
        part
        for message in body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "tool_result"
    ]
    content = results[-1]["content"]
    return json.loads(content if isinstance(content, str) else content[0]["text"])
