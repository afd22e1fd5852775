"""The conversation moves, and we follow: to another folder, to another id, with and without hooks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.harness import House, until
from tests.set_ups import hooks_silent

GIT = "git init -q . && git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m one"


def said(house: House, session: str) -> list[str]:
    entries = house.call("history", {"sessionId": session, "limit": 50})["entries"]
    return [entry["text"] for entry in entries if entry["role"] == "assistant" and entry["text"]]


def hits(house: House, session: str, words: str) -> int:
    found = house.call("search", {"query": words, "limit": 10, "sessionId": session})
    assert found["complete"]
    return len(found["hits"])


def call_tool(tool: str, **given: str) -> str:
    return f"[[tool {tool} {json.dumps(given)}]]"


def test_a_conversation_that_goes_to_a_worktree_and_back_is_followed(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.config["claude"]["args"] = ["--allowedTools", "EnterWorktree,ExitWorktree"]
    subprocess.run(GIT, shell=True, cwd=house.project, check=True)
    house.start_supervisor()
    _, session = house.ask("echo: first word")
    assert hits(house, session, "first") == 2
    assert house.send(call_tool("EnterWorktree", name="side"), session)["message"]["toolCalls"]
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})  # SessionStart then names the folder that it came from
    for word in ("second", "third"):
        inside = house.send(f"echo: {word} word", session)["message"]
        assert (inside["reply"], inside["usage"] is not None) == (f"{word} word", True), inside
        assert said(house, session)[-1] == f"{word} word"
        if word == "second":
            assert house.send(call_tool("ExitWorktree", action="keep"), session)["message"]["toolCalls"]
    assert hits(house, session, "first") == 2  # neither lost nor told twice
    assert hits(house, session, "third") == 2


@pytest.mark.turns
def test_what_can_be_reopened_is_kept_young_and_what_is_gone_or_elsewhere_is_not_promised(house: House) -> None:
    _, session = house.ask("echo: one")
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    gone(house, session)
    elsewhere(house, session)
    house.until_state(session, "idle")
    house.call("session.kill", {"sessionId": session})
    transcript = the_transcript(house, session)
    old = time.time() - 29 * 86400
    os.utime(transcript, (old, old))
    house.kill_supervisor()
    house.start_supervisor()
    until(lambda: transcript.stat().st_mtime > old + 86400, "Claude would not delete it tomorrow")
    transcript.unlink()
    with pytest.raises(Conflict) as refused:
        house.call("session.reopen", {"sessionId": session})
    assert refused.value.error_code == "transcript_missing"
    assert house.session(session)["state"] == "ended"


def the_transcript(house: House, session: str) -> Path:
    return next((house.claude_home / ".claude" / "projects").glob(f"*/{session}.jsonl"))


def gone(house: House, session: str) -> None:
    """A message for a conversation that is gone is not accepted."""
    transcript = the_transcript(house, session)
    kept = transcript.rename(house.folder / "kept")
    with pytest.raises(Conflict) as refused:
        house.send("echo: two", session)
    assert refused.value.error_code == "transcript_missing"
    assert [view["state"] for view in house.call("message.list", {"sessionId": session})["messages"]] == ["answered"]
    kept.rename(transcript)


def elsewhere(house: House, session: str) -> None:
    """A conversation in another home of Claude's is named, and goes on when it is back."""
    house.kill_supervisor()
    there = dict(house.config["claude"]["env"])
    house.config["claude"]["env"] = {**there, "CLAUDE_CONFIG_DIR": "~/other"}
    house.start_supervisor()
    with pytest.raises(Conflict) as refused:
        house.send("echo: two", session)
    assert refused.value.error_code == "claude_home_changed"
    assert f"{house.claude_home}/other" in refused.value.message
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert (checks["claude_home"]["status"], session in checks["claude_home"]["detail"]) == ("warn", True)
    house.kill_supervisor()
    house.config["claude"]["env"] = there
    house.start_supervisor()
    assert house.ask("echo: three", session)[0] == "three"


@pytest.mark.turns
def test_clear_is_followed_though_hooks_are_switched_off(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    hooks_silent(house)
    house.start_supervisor()
    _, session = house.ask("echo: ALPHA")
    assert "hook" not in (house.paths.session_dir(session) / "hooks.log").read_text()
    house.call("session.command", {"sessionId": session, "command": "/clear", "wait": 30})
    until(lambda: house.session(session)["conversationId"] != session, "the other conversation is known")
    assert house.ask("echo: behind", session)[0] == "behind"
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    assert house.ask("echo: awake", session)[0] == "awake"
    assert b"ALPHA" not in house.model.bodies()[-1]
    assert said(house, session) == ["ALPHA", "behind", "awake"]
