"""Nothing that Claude, its service, a folder's or a file's name says drives the terminal of whoever looks at it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import run
from cli.commands.doctor import Report
from cli.daemons.checks import Finding
from shared.bus.messages import Choice, CommandResult, ErrorBody, Event, HistoryEntry, Screen, Waiting
from shared.errors import Conflict
from tests.unit.cli.test_double import FIRST, FakeBus, app_of, bus_with, message, session

EVIL = "evil\x9b2J\x07\x08\r\x7f\x1b]0;title\x07end"
ERROR = ErrorBody(code="message_failed", message=EVIL, status=502)
WAITING = Waiting(
    id="w", kind="question", title=EVIL, text=f"{EVIL}\n{EVIL}", choices=[Choice(id="1", label=EVIL, description=EVIL)]
)


def hostile() -> FakeBus:
    """A supervisor whose every text is hostile."""
    view = session(project_path=f"/tmp/{EVIL}", title=EVIL, end_detail=EVIL, model=EVIL, pid=7, claude_version=EVIL)
    failed = message("failed", text=EVIL, error=ERROR, reply=EVIL)
    entry = HistoryEntry(
        id="u", role="user", text=EVIL, output=EVIL, tool_calls=[{"name": EVIL, "input": {EVIL: EVIL}}]
    )
    hit = {"sessionId": FIRST, "conversationId": FIRST, "role": "user", "id": "u", "at": None, "snippet": EVIL}
    elsewhere = {"id": FIRST, "title": EVIL, "firstPrompt": EVIL, "pid": None, "projectPath": EVIL, "lastActivity": 1}
    event = Event(v=1, epoch="e", seq=1, at=1, kind="state", data={"why": EVIL, EVIL: {"x": EVIL}})
    return bus_with(
        view,
        message__get=failed,
        message__list={"messages": [failed], "next": None},
        history={"entries": [entry], "next": None},
        export={"name": "x", "contentType": "text/markdown", "text": EVIL},
        search={"hits": [hit], "complete": True},
        conversations__list={"conversations": [{**elsewhere, "messages": 1}]},
        session__command=CommandResult(message_id="m", state="failed", session=view, error=ERROR),
        session__keep_alive={"session": view, "recap": EVIL},
        session__screen=Screen(session_id=FIRST, cols=80, rows=24, cursor=(0, 0), text=EVIL, html=EVIL),
        session__kill=Conflict(EVIL),
        session__interrupt=Conflict(EVIL),
        health={"status": "degraded", "checks": [{"name": "disk", "status": "warn", "detail": EVIL}]},
        settings__get={"settings": {"claude.command": EVIL}, "changed": []},
        status={"pid": 1, "version": "1", "startedAt": 1, "epoch": "e", "head": 1, "ready": True, "sessions": [view]},
        events__since={"events": [event], "head": 1, "oldest": 1, "gap": False, "epoch": "e"},
    )


COMMANDS: list[list[str]] = [
    ["ls"],
    ["show", "aaaa"],
    ["send", "aaaa", "x", "--wait", "1"],
    ["message", "m_1"],
    ["history", "aaaa"],
    ["search", "x"],
    ["import"],
    ["queue", "aaaa"],
    ["command", "aaaa", "/x"],
    ["extend", "aaaa", "--recap"],
    ["screen", "aaaa"],
    ["screen", "aaaa", "--html"],
    ["kill", "aaaa"],
    ["interrupt", "aaaa"],
    ["health"],
    ["settings"],
    ["events", "--since", "0"],
]


def spoken(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    text = told.out + told.err
    assert "evil" in text
    assert [char for char in text if not char.isprintable() and char not in "\n\t"] == []
    return told.out


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_printed_for_people_is_text(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # click takes escape sequences out of what goes to no terminal: here they have to be out before.
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_, **__: False)
    monkeypatch.setattr("click.style", lambda text, **_: text)
    run(words, app_of(tmp_path, hostile()))
    spoken(capsys)


@pytest.mark.parametrize(
    "words", [["attention"], ["show", "aaaa"], ["answer", "aaaa", "--choice", "no such"]], ids=" ".join
)
def test_what_is_asked_is_text(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(words, app_of(tmp_path, bus_with(session(state="waiting", waiting=WAITING, project_path=EVIL))))
    spoken(capsys)


def test_an_export_to_a_terminal_is_text_and_one_to_a_file_is_exact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["export", "aaaa", "-o", str(tmp_path / "x")], app_of(tmp_path, hostile()))
    assert (tmp_path / "x").read_bytes() == EVIL.encode()
    capsys.readouterr()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    run(["export", "aaaa"], app_of(tmp_path, hostile()))
    spoken(capsys)


@pytest.mark.parametrize(
    "words", [["ls"], ["show", "aaaa"], ["history", "aaaa"], ["events", "--since", "0"]], ids=" ".join
)
def test_json_is_escaped_and_says_the_same(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([*words, "--json"], app_of(tmp_path, hostile()))
    told: Any = json.loads(spoken(capsys))
    assert any(text == EVIL or text.endswith(f"/{EVIL}") for text in _texts(told))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def test_what_the_doctor_finds_is_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Report("warn", [Finding("claude", "warn", EVIL, EVIL)])
    monkeypatch.setattr("cli.commands.doctor.examine", lambda *_, **__: found)
    run(["doctor"], app_of(tmp_path))
    spoken(capsys)
