"""A person's own set-up of Claude beside ours: a session is driven all the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import MakeHouse
from tests.harness import until


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
    (house.claude_home / ".claude.json").write_text('{"numStartups": 10,')
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert checks["claude_state"]["status"] == "fail"


def test_another_editor_in_place_of_ours_is_said_left_and_survived(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    house.start_supervisor()
    _, session = house.ask("echo: one")
    ours = house.paths.session_dir(session) / "bin" / "pilotlight-editor"
    program, wrapper = ours.readlink(), house.folder / "my-editor"
    wrapper.write_text("#!/bin/sh\ntrap '' HUP INT\nprintf '\\033[2J\\033[HNotes of mine'\nread answer\n")
    wrapper.chmod(0o700)
    link = house.folder / "their-editor"
    link.write_text(f'#!/bin/sh\nsh {wrapper} "$1"\nexit 0\n')
    link.chmod(0o700)
    ours.unlink()
    ours.symlink_to(link)  # as managed settings, which win over everything, would have it
    sent = house.send("echo: two", session, wait=0)["message"]["id"]
    until(lambda: "my-editor" in (house.session(session)["held"] or ""), "it is held, and said why")
    failed = until(lambda: (m := house.message(sent, wait=1))["state"] == "failed" and m, "it is given up")
    assert (failed["state"], failed["error"]["code"]) == ("failed", "editor_taken")
    assert "my-editor" in failed["error"]["message"]
    view = house.until_state(session, "idle")
    checks = {check["name"]: check for check in house.call("health")["checks"]}
    assert (view["health"], checks["editor"]["status"]) == ("editor_taken", "fail")
    ours.unlink()
    ours.symlink_to(program)
    assert house.ask("echo: three", session)[0] == "three"
    assert house.session(session)["health"] == "ok"
