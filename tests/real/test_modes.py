"""The permission mode that is shown, the one in force and the one of the next process are the same, whoever changed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import House, until


def asked(house: House, session: str) -> dict[str, Any]:
    waiting: dict[str, Any] = until(
        lambda: (w := house.session(session)["waiting"]) and w["id"].startswith("p_") and w, "Claude asks"
    )
    return waiting


def next_mode(house: House, session: str) -> str:
    """The mode that the process that comes next is started with."""
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    house.call("session.wake", {"sessionId": session})
    words = Path(f"/proc/{house.session(session)['pid']}/cmdline").read_text().split("\0")
    return words[words.index("--permission-mode") + 1]


@pytest.mark.turns
def test_mode_shown_in_force_and_of_the_next_process_agree(house: House) -> None:
    session = house.call("session.create", {"projectPath": str(house.project), "permissionMode": "plan", "wait": 30})[
        "id"
    ]
    house.until_state(session, "idle")
    message = house.send("[[plan 1. Look around.]]", session, wait=0)["message"]["id"]
    waiting = asked(house, session)
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "allow"})
    assert house.message(message, wait=30)["state"] == "answered"
    assert house.session(session)["permissionMode"] == "default"
    assert next_mode(house, session) == "default"

    message = house.send('[[tool Write {"file_path": "new", "content": "x"}]]', session, wait=0)["message"]["id"]
    waiting = asked(house, session)
    assert any(suggestion.get("mode") == "acceptEdits" for suggestion in waiting["suggestions"])
    house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "always"})
    assert house.message(message, wait=30)["state"] == "answered"
    assert house.session(session)["permissionMode"] == "acceptEdits"

    house.until_state(session, "idle")
    house.call("session.keys", {"sessionId": session, "keys": ["BackTab"]})
    until(lambda: house.session(session)["permissionMode"] == "plan", "the person's key is seen")
    assert next_mode(house, session) == "plan"
