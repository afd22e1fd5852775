"""Paging backwards through transcripts, and what their lines say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.bus.messages import HistoryEntry
from shared.errors import InvalidRequest
from supervisor.claude import transcript
from supervisor.history import reader
from supervisor.history.reader import Source, lines_backwards


def write(path: Path, *lines: dict[str, Any]) -> Source:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Source(path.stem, path)


def user(text: Any, **more: Any) -> dict[str, Any]:
    return {"type": "user", "uuid": f"u{text}"[:20], "message": {"role": "user", "content": text}, **more}


def assistant(identity: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {
        "id": identity,
        "role": "assistant",
        "model": "m",
        "content": list(blocks),
        "usage": {"output_tokens": 3},
    }
    return {"type": "assistant", "uuid": f"a{identity}", "message": {**message, **more}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(identity: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": "Bash", "input": given}


def result(identity: str, content: Any, error: bool = False) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": identity, "content": content, "is_error": error}])


def system(kind: str, content: str) -> dict[str, Any]:
    return {"type": "system", "subtype": kind, "content": content}


def all_pages(sources: list[Source], limit: int) -> list[HistoryEntry]:
    found: list[HistoryEntry] = []
    cursor = None
    while True:
        entries, cursor = reader.page(sources, cursor, limit)
        assert len(entries) <= limit
        found = entries + found
        if cursor is None:
            return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    lines=st.lists(st.sampled_from([b"one", b"\0", b"\0" * 30, b"x\0y", b"\n"]) | st.binary(max_size=40), max_size=12),
    tail=st.sampled_from([b"", b"half a line", b"\0\0\0"]),
    block=st.integers(1, 50),
)
def test_every_whole_line_is_read_backwards(tmp_path: Path, lines: list[bytes], tail: bytes, block: int) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + tail)
    whole = re.split(b"[\n\0]", path.read_bytes())[:-1]
    with mock.patch.object(reader, "BLOCK", block):
        found = list(lines_backwards(path))
        assert [line for _, line in found] == [line for line in whole[::-1] if line]
        for offset, line in found:
            assert path.read_bytes()[offset : offset + len(line)] == line
            rest = [earlier for _, earlier in lines_backwards(path, offset)]
            assert rest == [earlier for at, earlier in found if at < offset]


def test_a_missing_transcript_is_an_empty_history(tmp_path: Path) -> None:
    assert reader.page([Source("c", tmp_path / "none.jsonl")], None, 5) == ([], None)


def conversation(folder: Path) -> list[Source]:
    first = write(
        folder / "one.jsonl",
        {"type": "mode", "mode": "normal"},
        user("go", promptId="p1", timestamp="2026-01-02T03:04:05.678Z"),
        assistant("m1", text("I will ")),
        assistant("m1", tool("t1", command="x" * 20_000)),
        result("t1", "no", error=True),
        user("typed meanwhile"),
        assistant("m1", tool("t2", command="b"), stop_reason="tool_use"),
        result("t2", [text("yes"), {"type": "image", "source": {}}]),
        {"type": "assistant", "isSidechain": True, "uuid": "s", "message": {"id": "side", "content": [text("aside")]}},
        assistant("m2", text("done"), stop_reason="end_turn"),
        user("<local-command-caveat>x</local-command-caveat>", isMeta=True),
        user("<command-name>/model</command-name>\n <command-args>opus</command-args>"),
        system("local_command", "<local-command-stdout>Set model to \x1b[1mOpus\x1b[22m</local-command-stdout>"),
        system("informational", "Unknown command: /x"),
        user("[Request interrupted by user]"),
        user("<task-notification>x</task-notification>"),
    )
    second = write(folder / "two.jsonl", user("after clear"), assistant("m3", text("fresh")))
    return [first, second]


def test_entries_hold_what_belongs_together(tmp_path: Path) -> None:
    entries, following = reader.page(conversation(tmp_path), None, 50)
    assert following is None
    assert [(entry.role, entry.text[:20], entry.source) for entry in entries] == [
        ("user", "go", "terminal"),
        ("assistant", "I will ", "claude"),
        ("user", "typed meanwhile", "terminal"),
        ("assistant", "", "claude"),
        ("assistant", "done", "claude"),
        ("command", "/model opus", "terminal"),
        ("system", "Unknown command: /x", "claude"),
        ("system", "[Request interrupted", "claude"),
        ("user", "<task-notification>x", "claude"),
        ("user", "after clear", "terminal"),
        ("assistant", "fresh", "claude"),
    ]
    assert entries[0].at == 1767323045678
    first, second = entries[1].tool_calls[0], entries[3].tool_calls[0]
    assert (first["result"], first["isError"], first["truncated"]) == ("no", True, True)
    assert len(first["input"]["command"]) == reader.MAX_TOOL_TEXT
    assert (second["result"], second["isError"], second["truncated"]) == ("yes\n[image]", False, False)
    assert entries[5].output == "Set model to Opus"
    assert entries[-1].conversation_id == "two"


@pytest.mark.parametrize("limit", range(1, 12))
def test_pages_of_any_size_are_the_same_history(tmp_path: Path, limit: int) -> None:
    sources = conversation(tmp_path)
    assert all_pages(sources, limit) == reader.page(sources, None, 50)[0]


@pytest.mark.parametrize("size", [1, 300, 2000])
def test_pages_that_end_where_entries_are_long_are_the_same_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    sources = conversation(tmp_path)
    whole = all_pages(sources, 1000)
    monkeypatch.setattr(reader, "PAGE_BYTES", size)
    assert len(reader.page(sources, None, 1000)[0]) < len(whole)
    assert all_pages(sources, 1000) == whole


def test_a_page_of_long_entries_is_no_long_answer(tmp_path: Path) -> None:
    long = [assistant(f"m{number}", text("word " * 20_000)) for number in range(100)]
    entries, following = reader.page([write(tmp_path / "long.jsonl", *long)], None, 1000)
    assert len(msgspec.json.encode(entries)) < 1.1 * reader.PAGE_BYTES
    assert following is not None
    assert len(entries) > 30
    huge = [assistant(f"m{number}", text("word " * 200_000)) for number in range(30)]
    assert len(reader.page([write(tmp_path / "huge.jsonl", *huge)], None, 1000)[0]) > 20, "they are cut"


def test_a_reply_that_was_written_before_its_prompt_follows_it(tmp_path: Path) -> None:
    late = {**assistant("m", text("reply")), "timestamp": "2026-01-01T00:00:02Z"}
    source = write(tmp_path / "t.jsonl", late, user("prompt", timestamp="2026-01-01T00:00:01Z"))
    assert [entry.text for entry in reader.page([source], None, 9)[0]] == ["prompt", "reply"]


@pytest.mark.parametrize("cursor", ["", "x", "0", "0.", ".5", "-1.0", "2.0", "0.x", "0." + "9" * 40])
def test_a_wrong_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        reader.page(conversation(tmp_path), cursor, 5)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"null", b'{"type": 5}', b'{"type": "user"}', b'{"type": "user", "message": {"content": 7}}'],
)
def test_what_is_no_line_says_nothing(line: bytes) -> None:
    found = transcript.read(line)
    assert found is None or not found.told
