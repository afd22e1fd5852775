"""What people have on their machines, one by one: each set-up furnishes a house, and says what is special about living in it.

`tests/matrix.py` takes every house through the same day. A set-up is data: whoever adds one adds an entry to `SET_UPS`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from demo.home import prepare_home
from tests.harness import ROOT, House, until

WORD = "BANANA"
RECALL = "What word did I ask you to remember?"

Furnish = Callable[[House], dict[str, Any] | None]
Do = Callable[[House, str], None]


def tool(name: str, /, **given: Any) -> str:
    """The directive that has the model call this tool."""
    return f"[[tool {name} {json.dumps(given)}]]"


def nothing(_house: House, _session: str) -> None:
    """Most set-ups need no more than what they are furnished with."""


def touches(house: House) -> str:
    """What needs a permission in every mode but those that ask about plans only."""
    return tool("Bash", command=f"touch {shlex.quote(str(house.project / 'made'))}", description="Make a file")


@dataclass(frozen=True)
class SetUp:
    """One person's machine."""

    name: str
    furnish: Furnish
    """Before anything runs; what it returns is asked for when the session is made."""
    opening: Do = nothing
    """After the first words: what happens only in this set-up, and that the set-up is really in force."""
    before_rest: Do = nothing
    """What has to end before the session may sleep."""
    asks: Callable[[House], str] = touches
    """The prompt that needs a permission."""
    makes: bool = True
    """Whether that prompt has made a file once it is allowed."""
    every_reply: str | None = None
    """What each turn ends with, whatever was asked."""


def person(house: House, **settings: Any) -> None:
    """Settings of the person's own."""
    own = house.claude_home / ".claude" / "settings.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), **settings}))


def hook(house: House, event: str, *lines: str) -> None:
    """A hook of the person's own: a shell script."""
    script = house.folder / f"{event}.sh"
    script.write_text("\n".join(lines) + "\n")
    person(house, hooks={event: [{"hooks": [{"type": "command", "command": f"sh {shlex.quote(str(script))}"}]}]})


def has_left(name: str) -> Do:
    """The set-up has left this file in the house: it is in force."""

    def left(house: House, _session: str) -> None:
        until((house.folder / name).exists, f"the set-up has left {name}")

    return left


def stop_hook(house: House) -> None:
    again = shlex.quote(json.dumps({"decision": "block", "reason": RECALL}))
    hook(house, "Stop", f"grep -q '\"stop_hook_active\": *true' || echo {again}")


def refusing_hook(house: House) -> None:
    hook(house, "UserPromptSubmit", "if grep -q SECRET; then echo 'No SECRETS please' >&2; exit 2; fi")


def is_refused(house: House, session: str) -> None:
    message = house.send("echo: a SECRET", session)["message"]
    assert (message["state"], message["error"]["code"]) == ("failed", "prompt_blocked"), message


def hooks_disabled(house: House) -> None:
    person(house, disableAllHooks=True)


MUTE = """#!/bin/sh
for each; do
    shift
    if [ "$before" = --settings ]; then
        grep -q '"set -- ' "$each" || exit 1
        sed 's/"set -- /"exit; set -- /g' "$each" > "$each.mute"
        each=$each.mute
    fi
    before=$each
    set -- "$@" "$each"
done
exec {claude} "$@"
"""
"""Starts the CLI with our settings, the hooks' commands in them disarmed; nothing where it finds none."""


def hooks_silent(house: House) -> None:
    """As they are where an administrator has switched them off: what each calls ends before it begins."""
    claude = house.folder / "mute"
    claude.write_text(MUTE.format(claude=shlex.quote(str(house.config["claude"]["command"]))))
    claude.chmod(0o755)
    house.config["claude"]["command"] = str(claude)


def vim(house: House) -> None:
    person(house, editorMode="vim")
    state = house.claude_home / ".claude.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "editorMode": "vim"}))


def is_vim(house: House, session: str) -> None:
    house.until_state(session, "idle")
    until(lambda: "INSERT" in house.call("session.screen", {"sessionId": session})["text"], "vim mode is on")


def editor_and_path(house: House) -> None:
    person(house, env={"EDITOR": "vi", "VISUAL": "vi", "PATH": "/usr/bin:/bin"})


def key_bindings(house: House) -> None:
    bound = {"ctrl+g": "chat:stash", "ctrl+x ctrl+e": None, "ctrl+y": "chat:externalEditor"}
    keys = house.claude_home / ".claude" / "keybindings.json"
    keys.write_text(json.dumps({"bindings": [{"context": "Chat", "bindings": bound}]}))


def status_line(house: House) -> None:
    script = house.folder / "status.sh"
    script.write_text(
        f"touch {house.folder}/status\nprintf '\\033[7m ❯ > main  \\033[0m\\nesc to interrupt? 1. Yes\\n'\n"
    )
    person(house, statusLine={"type": "command", "command": f"sh {script}", "padding": 0})


def output_style(house: House) -> None:
    styles = house.claude_home / ".claude" / "output-styles"
    styles.mkdir()
    (styles / "pirate.md").write_text(
        "---\nname: Pirate\ndescription: Speaks so\n---\nYou speak like a PIRATE-OF-OURS.\n"
    )
    person(house, outputStyle="Pirate")


def speaks_so(house: House, _session: str) -> None:
    assert any(b"PIRATE-OF-OURS" in body for body in house.model.bodies()), "the output style is not in force"


def mcp_server(house: House) -> None:
    state = house.claude_home / ".claude.json"
    server = {"type": "stdio", "command": sys.executable, "args": [str(ROOT / "tests" / "mcp_asker.py")]}
    state.write_text(json.dumps({**json.loads(state.read_text()), "mcpServers": {"forms": server}}))


def serves(house: House, _session: str) -> None:
    def runs() -> bool:
        lines = (Path(f"/proc/{seen.pid}/cmdline").read_bytes() for seen in house.marked())
        return any(b"mcp_asker" in line for line in lines)

    until(runs, "the server runs")


def plugin(house: House) -> None:
    place = house.folder / "plugin"
    manifest = {"name": "ours", "version": "1.0.0", "description": "A plugin"}
    call = [{"hooks": [{"type": "command", "command": f"touch {house.folder}/plugged"}]}]
    hooks = {"hooks": {"SessionStart": call, "UserPromptSubmit": call}}
    for name, content in {
        ".claude-plugin/plugin.json": json.dumps(manifest),
        "hooks/hooks.json": json.dumps(hooks),
        "commands/greet.md": "---\ndescription: Greets\n---\nSay hello.\n",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    house.config["claude"]["args"] = ["--plugin-dir", str(place)]


def repository(house: House) -> None:
    house.config["claude"]["args"] = ["--allowedTools", "EnterWorktree"]
    commit = "git init -q . && git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m one"
    subprocess.run(commit, shell=True, cwd=house.project, check=True)


def goes_to_a_worktree(house: House, session: str) -> None:
    house.ask(tool("EnterWorktree", name="side"), session)


def starts_an_agent(house: House, session: str) -> None:
    given = {"description": "work", "prompt": "[[gate beside]] [[say done]]", "subagent_type": "general-purpose"}
    house.ask(tool("Agent", **given, run_in_background=True), session)
    assert house.model.wait_for_gate("beside", 30), "the agent does not run"


def lets_the_agent_end(house: House, _session: str) -> None:
    assert house.model.gates().get("beside") == 1, "the agent was ended with the turn that was interrupted"
    house.model.release("beside")


def crons(house: House) -> None:
    house.config["claude"]["args"] = ["--allowedTools", "CronCreate"]


def plans_a_cron(house: House, session: str) -> None:
    day = datetime.now() + timedelta(days=40)
    given = {"cron": f"30 12 {day.day} {day.month} *", "prompt": "echo: later", "recurring": False}
    house.ask(tool("CronCreate", **given), session)
    until(lambda: house.session(session)["scheduled"], "the plan is known")


def auto_mode(house: House) -> dict[str, Any]:
    person(house, permissions={"ask": ["Bash"]})  # the mode itself asks nobody
    return {"permissionMode": "auto"}


def is_auto(house: House, session: str) -> None:
    view = house.until_state(session, "idle")
    assert view["permissionMode"] == "auto", view["permissionMode"]
    assert "auto mode" in house.call("session.screen", {"sessionId": session})["text"]


def plan_mode(_house: House) -> dict[str, Any]:
    return {"permissionMode": "plan"}


def plans(_house: House) -> str:
    return "[[plan 1. Look around.]]"


def config_dir(house: House) -> None:
    place = house.folder / "elsewhere"
    place.mkdir()
    (house.claude_home / ".claude.json").rename(place / ".claude.json")
    (house.claude_home / ".claude" / "settings.json").rename(place / "settings.json")
    house.config["claude"]["env"]["CLAUDE_CONFIG_DIR"] = str(place)


def is_elsewhere(house: House, session: str) -> None:
    assert list((house.folder / "elsewhere" / "projects").glob(f"*/{session}.jsonl")), "no transcript in its folder"


LONG_PATH = 227


def long_project(house: House) -> None:
    left = LONG_PATH - len(str(house.folder)) - 2
    house.project = house.folder / ("a long name of a folder " * 20)[: left // 2].strip().ljust(left // 2, "x")
    house.project /= "y" * (LONG_PATH - len(str(house.project)) - 1)
    house.project.mkdir(parents=True)
    assert len(str(house.project)) == LONG_PATH
    prepare_home(house.claude_home, trusted=[house.project])


LONG_TRANSCRIPT = 300_000_000


def long_transcript(house: House) -> dict[str, Any]:
    """A conversation of months, compacted at last: what Claude reads on each start, and we too."""
    session = str(uuid.uuid4())
    slug = "".join(letter if letter.isalnum() else "-" for letter in str(house.project))
    path = house.claude_home / ".claude" / "projects" / slug / f"{session}.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        written = 0
        for line in months(session, str(house.project)):
            written += file.write(json.dumps(line) + "\n")
    assert written >= LONG_TRANSCRIPT
    return {"resume": session}


def months(session: str, cwd: str) -> Iterable[dict[str, Any]]:
    """The lines of such a transcript."""
    parent, size, text = None, 0, "all that was said in these months; " * 1500
    common = {"isSidechain": False, "userType": "external", "cwd": cwd, "sessionId": session, "version": "2.1.197"}
    common |= {"gitBranch": "", "timestamp": datetime.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")}
    while size < LONG_TRANSCRIPT:
        said: dict[str, Any] = {"role": "user", "content": text}
        if parent is not None and size % 2:
            said = {"role": "assistant", "content": [{"type": "text", "text": text}], "id": f"msg_{size}"}
            said |= {"type": "message", "model": "demo", "stop_reason": "end_turn", "stop_sequence": None}
            said["usage"] = {"input_tokens": 1, "output_tokens": 1}
        own = str(uuid.uuid4())
        yield {**common, "type": said["role"], "message": said, "uuid": own, "parentUuid": parent}
        parent, size = own, size + len(text) + 1
    own = str(uuid.uuid4())
    boundary: dict[str, Any] = {
        "type": "system",
        "subtype": "compact_boundary",
        "content": "Conversation compacted",
        "level": "info",
    }
    boundary |= {"compactMetadata": {"trigger": "manual", "preTokens": 100_000}, "isMeta": False}
    yield {**common, **boundary, "uuid": own, "parentUuid": None, "logicalParentUuid": parent}
    words = "This session is being continued from a previous conversation that ran out of context. Much was said."
    summary: dict[str, Any] = {"isCompactSummary": True, "isVisibleInTranscriptOnly": True}
    message = {"role": "user", "content": words}
    yield {**common, **summary, "type": "user", "message": message, "uuid": str(uuid.uuid4()), "parentUuid": own}


def ordinary(_house: House) -> None:
    """As a background agent or a plan finds it."""


SET_UPS = (
    SetUp("Stop hook that blocks", stop_hook, every_reply=WORD),
    SetUp("UserPromptSubmit hook that blocks", refusing_hook, is_refused),
    SetUp("hooks disabled", hooks_disabled),
    SetUp("hooks silent", hooks_silent),
    SetUp("vim mode", vim, is_vim),
    SetUp("EDITOR and PATH in settings", editor_and_path),
    SetUp("keybindings", key_bindings),
    SetUp("status line", status_line, has_left("status")),
    SetUp("output style", output_style, speaks_so),
    SetUp("an MCP server", mcp_server, serves),
    SetUp("a plugin", plugin, has_left("plugged")),
    SetUp("worktree", repository, goes_to_a_worktree),
    SetUp("background agents", ordinary, starts_an_agent, lets_the_agent_end),
    SetUp("crons", crons, plans_a_cron),
    SetUp("auto mode", auto_mode, is_auto),
    SetUp("plan mode", plan_mode, asks=plans, makes=False),
    SetUp("CLAUDE_CONFIG_DIR", config_dir, is_elsewhere),
    SetUp("a project of 227 characters", long_project),
    SetUp("a 300 MB transcript", long_transcript),
)
