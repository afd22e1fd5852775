"""A person's own hooks are part of the turn: one that has Claude go on, and one that refuses a prompt."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from shared.errors import Conflict
from tests.harness import House, until


def persons_hook(house: House, event: str, *lines: str) -> None:
    """A hook of the person's own for this event, in the settings of the project: a shell script."""
    script = house.folder / f"{event}.sh"
    script.write_text("\n".join(lines) + "\n")
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    hook = {"type": "command", "command": f"sh {shlex.quote(str(script))}"}
    settings.write_text(json.dumps({"hooks": {event: [{"hooks": [hook]}]}}))


def goes_on(folder: Path, reason: str) -> list[str]:
    """A Stop hook that runs until `go` is there, and has Claude go on once for each file `again`."""
    answer = json.dumps({"decision": "block", "reason": reason})
    return [
        f"cd {shlex.quote(str(folder))}",
        "echo run >> runs",
        "while [ ! -e go ]; do sleep 0.02; done",
        f"if rm again 2>/dev/null; then echo {shlex.quote(answer)}; fi",
    ]


REFUSALS = {
    "exit": ["echo 'No SECRETS please' >&2", "exit 2"],
    "block": ['echo \'{"decision": "block", "reason": "No SECRETS please"}\''],
    "stop": ['echo \'{"continue": false, "stopReason": "No SECRETS please"}\''],
}


@pytest.mark.turns
def test_a_turn_in_which_a_stop_hook_has_claude_go_on_is_one(house: House) -> None:
    read = f'[[tool Read {{"file_path": "{house.project}/file"}}]]'
    (house.project / "file").write_text("words")
    persons_hook(house, "Stop", *goes_on(house.folder, f"{read} [[gate round]] [[say the second]]"))
    (house.folder / "again").touch()

    sent = house.send(f"{read} [[say the first]]", wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]
    until((house.folder / "runs").exists, "the person's hook runs")
    behind = house.send("echo: behind", session, wait=0)["message"]["id"]

    def goes_on_working() -> None:
        seen = house.session(session)
        assert (seen["state"], seen["currentMessage"]) == ("busy", message)
        receipt = house.message(message)
        assert (receipt["state"], receipt["reply"]) == ("submitted", None)
        with pytest.raises(Conflict):
            house.call("session.hibernate", {"sessionId": session})

    hooks = house.paths.session_dir(session) / "hooks.log"
    until(lambda: "hook Stop" in hooks.read_text(), "our own hook has told")
    goes_on_working()
    (house.folder / "go").touch()
    assert house.model.wait_for_gate("round", 30)
    goes_on_working()
    house.kill_supervisor()
    house.start_supervisor()
    house.until_state(session, "busy")
    goes_on_working()
    house.model.release("round")

    settled = house.message(message, wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", "the second")
    assert "replied" not in settled["steps"]
    assert [tool["name"] for tool in settled["toolCalls"]] == ["Read", "Read"]
    first = settled["usage"]["output_tokens"]
    assert house.message(behind, wait=30)["reply"] == "behind"
    assert first > house.message(behind)["usage"]["output_tokens"]

    (house.folder / "again").touch()
    running = house.send("echo: on", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("round", 30)
    assert house.call("session.interrupt", {"sessionId": session})
    assert house.message(running, wait=30)["state"] == "interrupted"
    assert house.ask("echo: and on", session, until="replied")[0] == "and on"

    (house.folder / "go").unlink()
    count = len((house.folder / "runs").read_text().split())
    running = house.send("echo: all said", session, wait=0)["message"]["id"]
    until(lambda: len((house.folder / "runs").read_text().split()) > count, "the person's hook runs again")
    assert house.call("session.interrupt", {"sessionId": session})
    assert house.message(running, wait=30)["state"] == "interrupted"
    house.until_state(session, "idle")
    (house.folder / "go").touch()


def test_a_prompt_that_a_hook_refuses_has_failed_with_its_reason(house: House) -> None:
    refusing = [f"if [ -e {house.folder}/{name} ]; then {'; '.join(lines)}; fi" for name, lines in REFUSALS.items()]
    persons_hook(house, "UserPromptSubmit", *[line.replace("exit 2; fi", "exit 2\nfi") for line in refusing])
    _, session = house.ask("Remember the word BANANA")
    for name in REFUSALS:
        (house.folder / name).touch()
        refused = house.send("echo: a secret\nof two lines", session)["message"]
        assert (refused["state"], refused["error"]["code"]) == ("failed", "prompt_blocked"), refused
        assert "No SECRETS please" in refused["error"]["message"]
        assert "a secret" not in refused["error"]["message"]
        (house.folder / name).unlink()
        assert house.ask("What word did I ask you to remember?", session)[0] == "BANANA"
        assert house.session(session)["draft"] is False
