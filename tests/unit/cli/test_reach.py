"""The command reaches whatever the API reaches: every operation, `--json` everywhere, and the shell completes it."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from api.reference.calls import CALLS
from cli.__main__ import cli, run
from shared.bus.messages import Screen
from shared.errors import Unavailable
from tests.unit.cli.test_double import FIRST, TRUST, FakeBus, app_of, bus_with, message, session

ROOT = Path(__file__).resolve().parents[3]
FOR_PEOPLE = {"attach", "chat", "watch"}
"""They take the terminal."""
FOR_DEVICES = {"recipient.presence", "notification.key", "notification.link", "notification.receipt"}
"""What an app on a device does for itself."""

FOR_SCREENS = {"draft.get", "draft.set", "events.page", "folders.list", "samples", "session.seen"}
"""What a client with a screen of its own needs to draw it."""

FOR_THE_GATEWAY = {f"session.{step}" for step in ("leave", "stay", "bundle", "import", "decline", "release", "arrive")}
"""The steps of a move, which `pilotlight move` has the gateway take."""

TEXT_BY_NATURE = {"completion", "gateway", "mcp", "service install", "service uninstall", "service status"}


def commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")
        else:
            yield before + name, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_speaks_json_and_says_what_it_does(name: str, command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}

    assert ("--json" in options) is (name not in FOR_PEOPLE | TEXT_BY_NATURE)
    assert (command.help or "").splitlines()[0].endswith(".")


def operations(room: str) -> set[str]:
    """Every operation of the bus that the code of this room names: a text with a dot, or the first argument of a call."""
    found = set()
    for file in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                if name in ("call", "act", "ask", "_act"):
                    found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return {op for op in found if not op.startswith("/") and " " not in op}


def test_the_command_reaches_every_operation_that_the_api_reaches() -> None:
    assert len(CALLS) > 40
    reached = operations("api")
    assert {"session.wake", "message.move", "search", "session.keys"} <= reached

    assert reached - operations("cli") == FOR_DEVICES | FOR_SCREENS | FOR_THE_GATEWAY


def test_send_takes_files_and_goes_before_others(tmp_path, capsys):
    note = tmp_path / "note.md"
    note.write_bytes(b"# hi")
    bus = bus_with()

    words = [
        "send",
        "aaaa",
        "look",
        "--attach",
        str(note),
        "--attach",
        str(note),
        "--interrupt",
        "--front",
        "--key",
        "k",
    ]
    assert run(words, app_of(tmp_path, bus)) == 0

    sent = bus.asked("message.send")[0]
    assert [(item["name"], item["mimeType"], item["data"]) for item in sent["attachments"]] == [
        ("note.md", "text/markdown", "IyBoaQ==")
    ] * 2
    assert (sent["front"], sent["interrupt"], sent["key"]) == (True, True, "k")
    with note.open("wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    assert run([*words, "--json"], app_of(tmp_path, bus)) == 5
    assert json.loads(capsys.readouterr().out.removeprefix("hi\n"))["error"]["code"] == "attachment_too_large"
    assert run(["send", "aaaa", "look", "--attach", str(tmp_path / "none")], app_of(tmp_path, bus)) == 2
    assert len(bus.asked("message.send")) == 1


def test_a_message_is_followed_by_its_id(tmp_path, capsys):
    assert run(["message", "m_1"], app_of(tmp_path, bus_with())) == 0
    assert capsys.readouterr().out == "hi\n"
    assert run(["message", "m_1", "--json"], app_of(tmp_path, bus_with(message__get=message("failed")))) == 1
    assert json.loads(capsys.readouterr().out)["message"]["state"] == "failed"


def test_what_a_session_is_started_with_can_be_set_and_unset(tmp_path, capsys):
    bus = bus_with(session__update=session(settings_pending=True), session__create=session())
    flags = [
        "--model",
        "m",
        "--effort",
        "low",
        "--add-dir",
        str(tmp_path),
        "--mcp-config",
        "{}",
        "--append-system-prompt",
        "s",
    ]
    started = {"model": "m", "effort": "low", "addDirs": [str(tmp_path)], "mcpConfig": "{}", "appendSystemPrompt": "s"}

    assert run(["new", str(tmp_path), *flags], app_of(tmp_path, bus)) == 0
    assert started.items() <= bus.asked("session.create")[0].items()
    assert run(["set", "aaaa", *flags, "--title", "T", "--auto-keep-alive"], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.update")[0] == {"sessionId": FIRST, "title": "T", "autoKeepAlive": True, **started}
    assert "when the turn has ended" in capsys.readouterr().out
    assert run(["set", "aaaa", "--unset", "model", "--unset", "add-dirs"], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.update")[1] == {"sessionId": FIRST, "model": None, "addDirs": None}
    assert run(["set", "aaaa"], app_of(tmp_path, bus)) == 2
    assert run(["set", "aaaa", "--unset", "colour"], app_of(tmp_path, bus)) == 5
    assert len(bus.asked("session.update")) == 2


def test_settings_are_shown_changed_and_taken_back(tmp_path, capsys):
    view = {"settings": {"sessions.timeout_hours": 12.0}, "changed": ["sessions.timeout_hours"]}
    bus = FakeBus(settings__get=view, settings__patch=view)

    assert run(["settings"], app_of(tmp_path, bus)) == 0
    assert "sessions.timeout_hours  12.0   changed" in capsys.readouterr().out
    assert run(["settings", "sessions.timeout_hours=12", "claude.x=a b", "log.y="], app_of(tmp_path, bus)) == 0
    assert bus.asked("settings.patch") == [{"values": {"sessions.timeout_hours": 12, "claude.x": "a b", "log.y": None}}]
    assert run(["settings", "nonsense"], app_of(tmp_path, bus)) == 2


def test_several_questions_and_another_input_are_answered(tmp_path):
    bus = bus_with(session(waiting=TRUST), session__answer={"session": session(), "answer": {}})

    assert (
        run(["answer", "aaaa", "--to", "Which = one?=Red", "--input", '{"command": "ls"}'], app_of(tmp_path, bus)) == 0
    )

    given = bus.asked("session.answer")[0]
    assert given["answers"] == {"Which = one?": "Red"}
    assert given["updatedInput"] == {"command": "ls"}
    for wrong in (["--to", "Red"], ["--input", "[]"], ["--input", "{"]):
        assert run(["answer", "aaaa", *wrong], app_of(tmp_path, bus)) == 2


def test_the_terminal_is_seen_and_used_without_attaching(tmp_path, capsys):
    shown = Screen(session_id=FIRST, cols=80, rows=24, cursor=(0, 0), text="hello\x1b[31m\n\n", html="<div>")
    bus = bus_with(
        session__screen=shown, session__keys=session(), session__resize=session(),
        session__recording={"recording": True, "files": [], "bytes": 7},
    )  # fmt: skip
    app = app_of(tmp_path, bus)

    assert run(["screen", "aaaa"], app) == 0
    assert capsys.readouterr().out == "hello\ufffd[31m\n"
    assert run(["keys", "aaaa", "Escape", "x", "--text", "t"], app) == 0
    assert (bus.asked("session.keys")[0]["keys"], bus.asked("session.keys")[0]["text"]) == (["Escape", "x"], "t")
    assert run(["resize", "aaaa", "120x40"], app) == 0
    assert (bus.asked("session.resize")[0]["cols"], bus.asked("session.resize")[0]["rows"]) == (120, 40)
    assert run(["record", "aaaa", "--start", "--json"], app) == 0
    assert bus.asked("session.recording")[0]["start"] is True
    assert [run(["keys", "aaaa"], app), run(["resize", "aaaa", "big"], app)] == [2, 2]
    assert run(["record", "aaaa", "-o", str(tmp_path / "x.cast")], app) == 4


def test_search_marks_what_was_said_elsewhere(tmp_path, capsys):
    hit = {"conversationId": "c0ffee00-1", "role": "user", "id": "u", "at": None, "snippet": "a word", "marks": []}
    found = {"hits": [{**hit, "sessionId": FIRST}, {**hit, "sessionId": None}], "complete": True}
    bus = bus_with(search=found)

    assert run(["search", "word"], app_of(tmp_path, bus)) == 0

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["aaaa1111", "c0ffee00+"]
    assert bus.asked("search")[0]["everywhere"]


def test_life_is_extended_ended_for_now_and_taken_up(tmp_path, capsys):
    bus = bus_with(
        session__keep_alive=lambda args: {"session": session(), "recap": "We spoke." if args["action"] == "recap" else None},
        session__hibernate=session(state="hibernated"), session__wake=session(), session__reopen=session(),
        metrics={"counters": {"starts": 3}},
        health={"status": "unhealthy", "checks": [{"name": "disk", "status": "fail", "detail": "full"}]},
    )  # fmt: skip
    app = app_of(tmp_path, bus)

    for words in (
        ["extend", "aaaa"],
        ["extend", "aaaa", "--recap"],
        ["hibernate", "aaaa"],
        ["wake", "aaaa"],
        ["reopen", "aaaa"],
    ):
        assert run(words, app) == 0
    assert capsys.readouterr().out.splitlines() == ["extended", "We spoke.", "hibernated", "idle", "idle"]
    bus.answers["session.keep_alive"] = {"session": session(), "recap": None, "recapSkipped": "busy"}
    assert run(["extend", "aaaa", "--recap"], app) == 0
    assert tuple(capsys.readouterr()) == ("extended\n", "no recap: busy\n")
    assert run(["metrics"], app) == 0
    assert "counters.starts  3" in capsys.readouterr().out
    assert run(["health"], app) == 1
    assert "disk   fail    full" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["wake"], ["screen"], ["keys", "Enter"], ["extend"], ["set", "--title", "x"], ["message"]]
)
def test_an_error_is_json_when_asked(tmp_path, capsys, words):
    bus = FakeBus(session__list=Unavailable("gone"), message__get=Unavailable("gone"))
    name, *rest = words

    assert run([name, "aaaa", *rest, "--json"], app_of(tmp_path, bus)) == 3

    assert json.loads(capsys.readouterr().out)["error"]["code"] == "unavailable"


def test_bash_completes_commands_options_and_session_ids(tmp_path):
    # The command as it is installed, except that its supervisor is the double.
    program = tmp_path / "pilotlight"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom cli.__main__ import run\n"
        "from tests.unit.cli.test_double import app_of, bus_with, session\n"
        f"sys.exit(run(sys.argv[1:], app_of(Path({str(tmp_path)!r}), bus_with(session()))))\n"
    )
    program.chmod(0o755)

    def complete(*words: str) -> list[str]:
        line = " ".join(shlex.quote(word) for word in ("pilotlight", *words))
        script = (
            f'eval "$(pilotlight completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words)}\n'
            '_pilotlight_completion pilotlight; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert complete("hib") == ["hibernate"]
    assert complete("kill", "aa") == [FIRST]
    assert "--attach" in complete("send", FIRST, "--a")
