"""The command, as a person or a script uses it, on the real supervisor and the real CLI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.__main__ import run
from cli.context import App
from tests.harness import House, until


class Command:
    """`pilotlight` in this house; `json` insists on success."""

    def __init__(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        self._house, self._capsys = house, capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        self._capsys.readouterr()
        code = run(words, App(environment={**self._house.environment(), "HOME": str(self._house.claude_home)}))
        return code, self._capsys.readouterr().out

    def json(self, *words: str) -> Any:
        """What it prints with `--json`."""
        code, out = self(*words, "--json")
        assert code == 0, out
        return json.loads(out)


def prompted(house: House, session: str) -> list[str]:
    """The messages whose prompts a hook has told of."""
    return [event["data"]["message"] for event in house.events(session=session) if event["kind"] == "prompt"]


def test_a_day_at_the_command_line(own_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house = own_house
    pilotlight = Command(house, capsys)
    note = house.folder / "note.txt"
    note.write_text("the word is PAPAYA")

    session = pilotlight("new", str(house.project), "--model", "haiku")[1].strip()
    short = session[:8]
    assert pilotlight("send", short, "Remember the word YAM") == (0, "I will remember the word YAM.\n")
    sent = pilotlight.json("send", short, "echo: look", "--attach", str(note))["message"]
    assert [item["name"] for item in sent["attachments"]] == ["note.txt"]
    read = json.dumps({"file_path": sent["attachments"][0]["path"]})
    assert "PAPAYA" in pilotlight("send", short, f"[[tool Read {read}]]")[1]

    # Interrupt and send; the order of what waits.
    running = pilotlight("send", short, "[[gate turn]] echo: long", "--wait", "0")[1].strip()
    assert house.model.wait_for_gate("turn", 30)
    until(lambda: running in prompted(house, session), "its hook has told of the turn, so that it can be interrupted")
    behind = pilotlight("send", short, "echo: behind", "--wait", "0")[1].strip()
    first = pilotlight("send", short, "echo: first", "--wait", "0", "--front")[1].strip()
    assert [message["id"] for message in pilotlight.json("queue", short)["messages"]] == [first, behind]
    assert pilotlight("queue", short, "--cancel", behind[:12])[0] == 0
    assert pilotlight("send", short, "echo: urgent", "--interrupt")[1] == "urgent\n"
    assert pilotlight("message", running)[0] == 1
    assert pilotlight("message", first, "--wait", "20") == (0, "first\n")
    assert pilotlight("message", behind)[0] == 1
    house.model.release("turn")

    # What `claude` is started with, its process, and its time.
    assert pilotlight.json("set", short, "--model", "sonnet", "--title", "Fruit")["model"] == "sonnet"
    house.until_state(session, "idle")
    assert pilotlight("hibernate", short) == (0, "hibernated\n")
    assert pilotlight.json("wake", short)["state"] in ("starting", "idle")
    house.until_state(session, "idle")
    assert pilotlight("extend", short)[1].startswith("extended; expires in 24.0 h")
    assert pilotlight.json("extend", short, "--recap")["recap"]

    # The terminal, without attaching.
    assert pilotlight("keys", short, "--text", "echo: typed by hand")[0] == 0
    until(lambda: "echo: typed by hand" in pilotlight("screen", short)[1], "it is shown")
    assert pilotlight("keys", short, "Enter")[0] == 0
    until(lambda: "\ntyped by hand\n" in pilotlight("history", short, "--limit", "1")[1], "it was answered")
    assert pilotlight.json("record", short, "--start")["recording"]
    assert pilotlight("resize", short, "100x30")[0] == 0
    assert pilotlight.json("screen", short)["cols"] == 100

    # What was said, and what it cost.
    until(lambda: pilotlight.json("search", "papaya")["complete"], "all of it was read")
    assert session[:8] in pilotlight("search", "papaya")[1]
    assert json.loads(pilotlight("export", short, "--json")[1])["title"] == "Fruit"
    assert [row["sessionId"] for row in pilotlight.json("usage", "--by", "session")["rows"]] == [session]
    lines = pilotlight("events", "--since", "0", "--session", short, "--kinds", "message", "--json")[1].splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"message"}
    assert pilotlight.json("settings", "sessions.timeout_hours=48")["settings"]["sessions.timeout_hours"] == 48
    assert pilotlight.json("health")["status"] in ("healthy", "degraded")
    assert pilotlight.json("metrics")["counters"]["wakes"] == 1

    # The end, and back.
    assert pilotlight("kill", short)[0] == 0
    code, out = pilotlight("send", short, "echo: too late", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (5, "session_ended")
    assert pilotlight("reopen", short)[0] == 0
    assert pilotlight("send", short, "What word did I ask you to remember?") == (0, "YAM\n")
    assert pilotlight("show", "ffff")[0] == 4
