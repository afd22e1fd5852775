"""What people stumble over at the prompt, one by one."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time

import msgspec
import pytest

from cli.__main__ import main, run
from cli.chat.display import Display
from cli.commands import logs
from shared.bus.messages import ScheduledTask
from shared.errors import Conflict, InvalidRequest
from tests.harness import ROOT
from tests.unit.cli.test_double import FIRST, TRUST, app_of, bus_with, message, question, session

PEOPLE = "no\xa0break 全角\u3000空白 👩\u200d💻 \ue0b0"
COLOURED = "\x1b[31mred\x1b[0m"


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed from now on goes to a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


DEAR = {
    "asyncio",
    "http.client",
    "importlib.metadata",
    "psutil",
    "pilotlight.client",
    "ssl",
    "traceback",
    "urllib.request",
}
"""What takes its time to import, and most commands have no use for."""


def test_no_command_waits_for_what_only_another_needs():
    look = "import sys; sys.path.insert(0, sys.argv[1]); import cli.__main__; print(*sys.modules)"
    made = subprocess.run([sys.executable, "-I", "-c", look, str(ROOT)], capture_output=True, text=True, check=True)
    assert "cli.commands.doctor" in made.stdout.split()
    assert not DEAR & set(made.stdout.split())


def test_what_people_write_is_shown_as_it_is(tmp_path, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    entry = {"id": "u", "role": "user", "text": PEOPLE, "output": PEOPLE, "toolCalls": []}
    screen = {"sessionId": FIRST, "cols": 80, "rows": 24, "cursor": (0, 0), "text": PEOPLE}
    said = message(reply=PEOPLE)
    bus = bus_with(
        message__get=said,
        message__list={"messages": [said], "next": None},
        history={"entries": [entry], "next": None},
        session__screen=screen,
    )
    for words in (["send", "aaaa", "x"], ["history", "aaaa"], ["screen", "aaaa"], ["show", "aaaa"]):
        run(words, app_of(tmp_path, bus))
        assert PEOPLE in capsys.readouterr().out, words
    Display("m_1").finish(PEOPLE)  # as `chat` shows a reply
    assert PEOPLE in capsys.readouterr().out


def test_a_pipe_gets_the_codes_that_are_part_of_a_text(tmp_path, capsys):
    export = {"name": "x", "contentType": "text/markdown", "text": COLOURED, "next": None}
    bus = bus_with(message__get=message(reply=COLOURED), export=export)
    for words in (["send", "aaaa", "x"], ["message", "m_1"], ["export", "aaaa"]):
        run(words, app_of(tmp_path, bus))
        assert COLOURED in capsys.readouterr().out, words


def test_a_terminal_does_not(tmp_path, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    run(["send", "aaaa", "x"], app_of(tmp_path, bus_with(message__get=message(reply=COLOURED))))
    assert "\x1b" not in capsys.readouterr().out


def test_a_fresh_zsh_loads_its_completion_system_first(tmp_path, capsys):
    assert run(["completion", "zsh"], app_of(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "#compdef pilotlight"
    assert "autoload -Uz compinit && compinit" in lines[1]
    assert any(line.strip().startswith("compdef ") for line in lines[2:])


def test_answer_alone_shows_what_is_asked(tmp_path, capsys):
    bus = bus_with(session(state="waiting", waiting=TRUST))
    assert run(["answer", "aaaa"], app_of(tmp_path, bus)) == 0
    told = capsys.readouterr()
    assert "2. Yes, I trust this folder" in told.out
    assert "pilotlight answer aaaa1111 --choice NUMBER" in told.err
    assert run(["answer", "aaaa", "--json"], app_of(tmp_path, bus)) == 0
    assert json.loads(capsys.readouterr().out)["waiting"]["id"] == "w1"
    assert bus.asked("session.answer") == []


SIZES = [{"label": "S"}, {"label": "M"}, {"label": "L"}]


def test_several_choices_are_all_sent(tmp_path):
    bus = bus_with(
        session(state="waiting", waiting=question(SIZES, "Which?", several=True)),
        session__answer={"session": session(), "answer": {}},
    )
    assert run(["answer", "aaaa", "--choice", "1", "--choice", "3"], app_of(tmp_path, bus)) == 0
    (given,) = bus.asked("session.answer")
    assert (given["choice"], given["answers"]) == (None, {"1": ["1", "3"]})
    bus = bus_with(session(state="waiting", waiting=question(SIZES, "Which?", "How?", several=True)))
    assert run(["answer", "aaaa", "--choice", "1", "--choice", "3"], app_of(tmp_path, bus)) == 2
    assert bus.asked("session.answer") == []


def test_each_of_several_questions_is_shown_with_its_options(tmp_path, capsys):
    bus = bus_with(session(state="waiting", waiting=question(SIZES, "Which?", "How?")))
    for words in (["attention"], ["answer", "aaaa"]):
        run(words, app_of(tmp_path, bus))
        told = capsys.readouterr()
        lines = [line.strip() for line in told.out.splitlines()]
        shown = [lines.index(f"Question {number}: {name}") for number, name in ((1, "Which?"), (2, "How?"))]
        assert [lines[at + 1 : at + 4] for at in shown] == [["1. S", "2. M", "3. L"]] * 2
    assert "--to 1=ANSWER --to 2=ANSWER" in told.err


def conversation(number: int) -> dict[str, object]:
    """One that was held elsewhere."""
    identity = f"{number:08x}-0000-4000-8000-000000000000"
    return {
        "id": identity,
        "title": None,
        "firstPrompt": "hi",
        "pid": None,
        "projectPath": "/tmp",
        "lastActivity": 1,
        "messages": 1,
    }


def test_import_says_how_many_there_are_besides_those_it_lists(tmp_path, capsys):
    bus = bus_with(conversations__list={"conversations": [conversation(number) for number in range(277)]})
    assert run(["import"], app_of(tmp_path, bus)) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 51
    assert "50 of 277" in told.err
    assert run(["import", "--limit", "0"], app_of(tmp_path, bus)) == 0
    told = capsys.readouterr()
    assert (len(told.out.splitlines()), told.err) == (278, "")


@pytest.mark.parametrize("size", ["0x0", "19x24", "80x4", "501x24", "80x201", "80", "axb"])
def test_a_size_that_cannot_be_is_wrong_usage(tmp_path, capsys, size):
    bus = bus_with()
    assert run(["resize", "aaaa", size], app_of(tmp_path, bus)) == 2
    assert "20 to 500 columns, 5 to 200 rows" in capsys.readouterr().err
    assert bus.calls == []


@pytest.mark.parametrize("words", [["export", "aaaa"], ["record", "aaaa"]], ids=" ".join)
def test_a_file_that_cannot_be_written_is_named_and_no_bug(tmp_path, capsys, words):
    files = {"recording": False, "files": [str(tmp_path)], "bytes": 1}
    bus = bus_with(export={"text": "x", "next": None}, session__recording=files)
    assert run([*words, "-o", "/nope/x"], app_of(tmp_path, bus)) == 1
    assert capsys.readouterr().err == "pilotlight: /nope/x: No such file or directory.\n"


def test_show_says_model_mode_and_expiry(tmp_path, capsys):
    soon = int((time.time() + 7200) * 1000)
    bus = bus_with(session(model="opus", permission_mode="plan", expires_at=soon))
    run(["show", "aaaa"], app_of(tmp_path, bus))
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines()[:9])
    assert (told["model"], told["permissions"], told["expires"]) == ("opus", "plan", "in 2.0 h")
    run(["show", "aaaa"], app_of(tmp_path, bus_with()))
    assert "model        as Claude's settings say" in capsys.readouterr().out


def test_ls_and_show_say_what_claude_has_planned(tmp_path, capsys):
    due = int(time.mktime((2026, 11, 28, 14, 30, 0, 0, 0, -1)) * 1000)
    once = ScheduledTask(id="1", schedule="30 14 28 11 *", recurring=False, prompt="look at the build", due_at=due)
    again = ScheduledTask(id="2", schedule="*/5 * * * *", recurring=True, prompt="look again", due_at=None)
    bus = bus_with(session(scheduled=[once, again]))
    run(["ls"], app_of(tmp_path, bus))
    assert "idle (planned)" in capsys.readouterr().out
    run(["show", "aaaa"], app_of(tmp_path, bus))
    told = capsys.readouterr().out.splitlines()
    assert "planned      at 14:30 on 2026-11-28: look at the build" in told
    assert "planned      again, again (*/5 * * * *): look again" not in told
    assert "planned      (*/5 * * * *): look again" in told


@pytest.mark.parametrize(
    ("health", "word", "advice"),
    [
        ("login_refused", "idle, login: refused", "/login"),
        ("no_hooks", "idle, hooks: off", "claude.args"),
        ("editor_taken", "idle, editor: another's", "editor"),
    ],
)
def test_ls_and_show_say_what_of_a_persons_set_up_is_in_the_way(tmp_path, capsys, health, word, advice):
    bus = bus_with(session(health=health))
    run(["ls"], app_of(tmp_path, bus))
    assert word in capsys.readouterr().out
    run(["show", "aaaa"], app_of(tmp_path, bus))
    (trouble,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("trouble ")]
    assert advice in trouble


@pytest.mark.parametrize("code", ["invalid_config", "unknown_setting"])
def test_a_setting_that_cannot_be_is_wrong_usage(tmp_path, capsys, code):
    bus = bus_with(settings__patch=InvalidRequest("settings: no.", code=code))
    assert run(["settings", "sessions.timeout_hours=abc"], app_of(tmp_path, bus)) == 2


@pytest.mark.parametrize("module", ["api", "supervisor"])
def test_help_of_a_process_starts_none(module, tmp_path):
    def python(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PILOTLIGHT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
        command = [sys.executable, "-m", module, *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)

    told = python("--help")
    assert (told.returncode, "PILOTLIGHT_HOME" in told.stdout) == (0, True)
    assert python("--port", "1").returncode == 2
    assert not (tmp_path / "home").exists()


HELD = "All 10 places are taken by sessions that are busy."


@pytest.mark.parametrize(
    "words",
    [
        ["send", "aaaa", "x", "--wait", "0"],
        ["send", "aaaa", "x", "--wait", "0.01"],
        ["show", "aaaa"],
        ["message", "m_1"],
        ["queue", "aaaa"],
    ],
    ids=" ".join,
)
def test_a_message_that_is_held_says_why(tmp_path, capsys, words):
    bus = bus_with(session(queue_length=1, held=HELD), message__get=message("queued"))
    run(words, app_of(tmp_path, bus))
    told = capsys.readouterr()
    assert HELD in told.out + told.err


def test_ls_marks_sessions_that_are_held(tmp_path, capsys):
    run(["ls"], app_of(tmp_path, bus_with(session(queue_length=1, held=HELD))))
    assert "idle (held)" in capsys.readouterr().out


def test_a_message_that_waits_gets_another_text_and_a_session_another_process(tmp_path, capsys):
    waiting = message("queued", queue_position=0)
    bus = bus_with(
        message__list={"messages": [waiting], "next": None}, message__update=waiting, session__recycle=session()
    )
    assert run(["queue", "aaaa", "--edit", "m_1"], app_of(tmp_path, bus)) == 2
    assert run(["queue", "aaaa", "--edit", "m_1", "--text", "better"], app_of(tmp_path, bus)) == 0
    assert bus.asked("message.update") == [{"messageId": "m_1", "text": "better", "confined": False}]
    assert run(["recycle", "aaaa"], app_of(tmp_path, bus)) == 0


def test_all_conversations_are_taken_over_asleep_and_one_that_cannot_be_stops_none(tmp_path, capsys):
    def created(args):
        if args["resume"].startswith("00000001"):
            raise Conflict("Another `claude` (pid 7) has this conversation open.", code="conversation_in_use")
        return session(state="hibernated", conversation_id=args["resume"])

    found = {"conversations": [conversation(number) for number in range(3)], "next": None}
    bus = bus_with(conversations__list=found, session__create=created)
    assert run(["import", "--all", "--trust"], app_of(tmp_path, bus)) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert "00000001: Another `claude` (pid 7)" in told.err
    assert "2 taken over, asleep; 1 not." in told.err
    orders = bus.asked("session.create")
    assert [(order["asleep"], order["trust"]) for order in orders] == [(True, True)] * 3


def test_a_conversation_from_elsewhere_is_read_without_being_taken_over(tmp_path, capsys):
    entry = {"id": "u", "role": "user", "text": "from elsewhere", "toolCalls": []}
    bus = bus_with(
        conversations__list={"conversations": [conversation(1)], "next": None},
        conversation__history={"entries": [entry], "next": None},
    )
    assert run(["history", "00000001"], app_of(tmp_path, bus)) == 0
    assert "from elsewhere" in capsys.readouterr().out
    assert bus.asked("session.create") == []
    assert run(["history", "ffff"], app_of(tmp_path, bus)) == 4


def test_a_line_of_a_log_that_is_half_written_is_told_when_it_is_whole(tmp_path):
    file = tmp_path / "api.log"
    file.write_bytes(b'the end of one"}\n{"event": "first"}\n{"event": "sec')
    told, place = logs.entries(file, 0)
    assert told == [{"event": "first"}]
    with file.open("ab") as opened:
        opened.write(b'ond"}\n')
    assert logs.entries(file, place) == ([{"event": "second"}], file.stat().st_size)
    assert logs.entries(tmp_path / "none.log", 0) == ([], 0)


def test_what_is_not_utf8_is_refused_in_a_sentence(tmp_path, capsys):
    bus = bus_with(message__send=lambda args: msgspec.json.encode(args))
    assert run(["send", "aaaa", "caf\udce9", "--json"], app_of(tmp_path, bus)) == 5
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_utf8"


def test_a_full_disk_is_no_bug(tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cli.commands.sessions.emit", full)
    assert run(["ls", "--json"], app_of(tmp_path, bus_with())) == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "bug" not in told


def test_a_command_whose_input_was_closed_reads_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "argv", ["pilotlight", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    with sys.stdin as given:
        assert (ended.value.code, given.read()) == (0, "")
