"""`claude -p`: what its lines say, and that its prompt is taken once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from supervisor.claude import print_mode
from supervisor.claude.command_line import Launch
from supervisor.claude.print_mode import Piece, Stream


def event(parent: str | None = None, **event: Any) -> bytes:
    return json.dumps({"type": "stream_event", "event": event, "parent_tool_use_id": parent}).encode()


def delta(text: str, parent: str | None = None) -> bytes:
    return event(parent, type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def test_text_is_told_piece_by_piece_with_its_end_and_a_subagents_is_not() -> None:
    stream = Stream()
    lines = [
        delta("before any message"),
        event(type="message_start", message={"id": "m1"}),
        delta("one "),
        delta("of a subagent", parent="toolu_1"),
        event("toolu_1", type="message_start", message={"id": "m9"}),
        event(type="content_block_delta", delta={"type": "input_json_delta", "partial_json": "{}"}),
        delta("two"),
        event(type="message_stop"),
        event(type="message_start", message={"id": "m2"}),
        event(type="message_stop"),
        b"no JSON",
        b"[]",
    ]
    assert [piece for line in lines if (piece := stream.take(line)) is not None] == [
        Piece("m1", 0, "one "),
        Piece("m1", 1, "two"),
        Piece("m1", 2, "", final=True),
    ]


def test_the_complaint_is_the_last_result_if_that_was_an_error(tmp_path: Path) -> None:
    assert print_mode.complaint(tmp_path) is None
    stream = tmp_path / print_mode.STREAM
    stream.write_text('{"type": "result", "is_error": true, "result": "Not logged in"}\nhalf a li')
    assert print_mode.complaint(tmp_path) == "Not logged in"
    stream.write_text('{"type": "result", "is_error": true, "subtype": "x", "errors": ["No conversation found"]}\n')
    assert print_mode.complaint(tmp_path) == "No conversation found"
    stream.write_text('{"type": "result", "is_error": false, "result": "fine"}\n')
    assert print_mode.complaint(tmp_path) is None


def test_hooks_are_waited_for_and_text_is_not_told_twice() -> None:
    given = {
        "Stop": [{"hooks": [{"type": "command", "command": "x", "async": True}]}],
        "MessageDisplay": [{"hooks": [{"type": "command", "command": "x", "async": True}]}],
        "PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "x", "timeout": 3}]}],
    }
    assert print_mode.hooks_in_order(given) == {
        "Stop": [{"hooks": [{"type": "command", "command": "x"}]}],
        "PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "x", "timeout": 3}]}],
    }


def test_the_prompt_is_taken_once_and_read_by_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "outbox").mkdir(parents=True)
    (folder / "outbox" / "m_1.pending").write_text("-n words; $HOME `id`")
    start = print_mode.wrapped(Launch(["/bin/sh"], {}, "/"), folder, "m_1")
    start.argv[start.argv.index("-p") :] = ["-c", "cat; umask"]

    assert subprocess.run(start.argv, umask=0o022).returncode == 0
    written = folder / print_mode.STREAM
    assert written.read_text().startswith("-n words; $HOME `id`0022")
    assert written.stat().st_mode & 0o077 == 0
    assert subprocess.run(start.argv, stderr=subprocess.DEVNULL).returncode == print_mode.TAKEN
