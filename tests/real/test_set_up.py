"""A person's own set-up of Claude beside ours: a session is driven all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import MakeHouse
from tests.harness import until


@pytest.mark.turns
def test_an_editor_and_a_path_in_a_persons_settings_leave_ours_in_place(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    theirs = {"EDITOR": "vi", "VISUAL": "vi", "PATH": "/usr/bin:/bin"}
    own = house.claude_home / ".claude" / "settings.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), "env": theirs}))
    (house.project / ".claude").mkdir()
    (house.project / ".claude" / "settings.json").write_text(json.dumps({"env": {"EDITOR": "vi -e"}}))
    house.config["claude"]["args"] = ["--allowedTools", "Bash"]
    house.start_supervisor()
    sent = house.send("echo: one", wait=30)
    assert sent["message"]["reply"] == "one", sent["session"]
    given = json.dumps({"command": 'echo "$EDITOR $PILOTLIGHT_EDITOR $PATH"'})
    reply = house.ask(f"[[tool Bash {given}]]", sent["session"]["id"])[0]
    ours = house.paths.session_dir(sent["session"]["id"]) / "bin"
    assert f"{ours}/pilotlight-editor vi {theirs['PATH']}:{ours}" in reply


@pytest.mark.turns
def test_a_persons_key_bindings_that_take_ctrl_g_are_heeded(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    keys = house.claude_home / ".claude" / "keybindings.json"

    def bind(**bound: str | None) -> None:
        bindings = {name.replace("_", "+"): action for name, action in bound.items()}
        keys.write_text(json.dumps({"bindings": [{"context": "Chat", "bindings": bindings}]}))

    bind(ctrl_g="chat:stash")
    house.start_supervisor()
    _, session = house.ask("echo: one")
    bind(ctrl_g="chat:stash", ctrl_x=None, ctrl_y="chat:externalEditor", **{"ctrl+x ctrl_e": None})
    house.until_state(session, "idle")
    house.call("session.hibernate", {"sessionId": session})
    assert house.ask("echo: two", session)[0] == "two"
    bind(ctrl_g=None, **{"ctrl+x ctrl_e": None})
    failed = house.send("echo: three", session)["message"]
    assert (failed["state"], failed["error"]["code"]) == ("failed", "editor_key_taken")
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert (checks["keybindings"]["status"], str(keys) in checks["keybindings"]["detail"]) == ("fail", True)

    def damaged() -> dict[str, str] | None:
        (house.claude_home / ".claude.json").write_text('{"numStartups": 10,')  # again: Claude may have mended it
        return {check["name"]: check for check in house.call("health")["checks"]}.get("claude_state")

    assert until(damaged, "the check is there")["status"] == "fail"


@pytest.mark.turns
def test_another_editor_in_place_of_ours_is_said_left_and_survived(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    theirs, wrapper = house.folder / "my-editor", house.folder / "claude"
    theirs.write_text("#!/bin/sh\ntrap '' HUP INT\nprintf '\\033[2J\\033[HNotes of mine'\nread answer\n")
    theirs.chmod(0o700)
    plain = f'#!/bin/sh\nexec {cli} "$@"\n'
    changed = f's#[^"]*pilotlight-editor#{theirs}#g'  # as managed settings, which win over everything, would have it
    each = f'for word; do [ ! -f "$word" ] || sed -i \'{changed}\' "$word"; done'
    wrapper.write_text(plain.replace("exec", f"{each}\nexec"))
    wrapper.chmod(0o700)
    house.config["claude"]["command"] = str(wrapper)
    house.start_supervisor()
    sent = house.send("echo: one", wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]
    view = until(lambda: (v := house.session(session))["health"] == "editor_taken" and v, "it is said")
    assert "my-editor" in view["held"]
    house.until_state(session, "idle")
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert checks["editor"]["status"] == "fail"
    told = [event["data"] for event in house.events(session=session) if event["kind"] == "editor_taken"]
    assert (told, house.message(message)["state"]) == ([{"editor": "my-editor"}], "queued")
    wrapper.write_text(plain)
    house.call("session.hibernate", {"sessionId": session})
    assert house.message(message, wait=30)["reply"] == "one"
    assert house.session(session)["health"] == "ok"
