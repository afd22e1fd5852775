"""One line of a transcript, of whatever shape; and that one module knows the shapes."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from supervisor.claude.transcript import read
from tests.unit.claude.test_tail import HALVES
from tests.unit.test_arrows import modules

OF_A_LINE = frozenset(
    {"parentUuid", "isSidechain", "isMeta", "isCompactSummary", "isApiErrorMessage", "hookInfos", "preventContinuation"}
    | {"queued_command", "local_command", "turn_duration", "stop_hook_summary", "compact_boundary", "ai-title"}
)
"""Names that only Claude's transcript has."""


def test_one_module_knows_what_claude_writes_into_a_transcript() -> None:
    knows = {
        str(path)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in OF_A_LINE and path.parts[0] != "demo"
    }
    knows |= {
        str(path)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == "uuid" and path.parts[0] == "supervisor"
    }
    assert knows == {"supervisor/claude/transcript.py"}


def test_a_result_that_is_written_twice_is_made_into_objects_once() -> None:
    """`toolUseResult` repeats what a tool gave back: damage in it costs nothing, because nobody looks at it."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": "out"}
    whole = line(type="user", message={"content": [result]}, toolUseResult="@")
    told = read(whole.replace(b'"@"', rb'"\ud83d"'))
    assert told is not None
    assert told.tool_results == [result]


TAGS = "<command-name>/compact</command-name><command-args>be brief</command-args>"
SHOWN: list[tuple[dict[str, Any], tuple[str, str, bool, bool]]] = [
    ({"type": "user", "message": {"content": "hello"}}, ("prompt", "hello", True, True)),
    ({"type": "user", "message": {"content": TAGS}}, ("command", "/compact be brief", True, True)),
    ({"type": "system", "subtype": "local_command", "content": TAGS}, ("command", "/compact be brief", True, False)),
    ({"type": "user", "message": {"content": "<bash-input>ls</bash-input>"}}, ("command", "!ls", True, True)),
    (
        {"type": "user", "message": {"content": "<local-command-stdout>\x1b[1mdone\x1b[0m\n</local-command-stdout>"}},
        ("output", "done", True, True),
    ),
    ({"type": "system", "subtype": "local_command", "content": "nothing of ours"}, ("other", "", False, False)),
    ({"type": "system", "subtype": "informational", "content": "\x1b[1mNote"}, ("notice", "Note", True, False)),
    (
        {"type": "system", "subtype": "informational", "content": "no\n", "preventContinuation": True},
        ("refused", "no", True, False),
    ),
    (
        {"type": "system", "subtype": "compact_boundary", "content": "Compacted"},
        ("compacted", "Compacted", True, False),
    ),
    (
        {"type": "user", "isMeta": True, "message": {"content": "Stop hook feedback:\nmore"}},
        ("feedback", None, False, False),
    ),
    ({"type": "user", "isMeta": True, "message": {"content": "caveat"}}, ("meta", None, False, False)),
    ({"type": "user", "isCompactSummary": True, "message": {"content": "so far"}}, ("meta", None, False, False)),
    (
        {"type": "user", "isMeta": True, "origin": {"kind": "peer"}, "message": {"content": "from a peer"}},
        ("prompt", "from a peer", True, True),
    ),
    ({"type": "user", "message": {"content": ""}}, ("prompt", "", False, True)),
    ({"type": "assistant", "message": {"model": "<synthetic>", "content": []}}, ("assistant", "", False, False)),
    (
        {"type": "assistant", "isApiErrorMessage": True, "message": {"model": "<synthetic>", "content": []}},
        ("assistant", "", True, False),
    ),
    ({"type": "summary", "summary": "Fixing"}, ("summary", "Fixing", True, False)),
    ({"type": "ai-title", "aiTitle": "Fixing"}, ("title", "Fixing", True, False)),
    ({"type": "custom-title", "customTitle": " "}, ("title", " ", False, False)),
]
"""A line; its kind, what a person is shown of it, whether they are, and whether it may open a turn."""


@pytest.mark.parametrize(("raw", "expected"), SHOWN)
def test_what_a_line_is_and_says(raw: dict[str, Any], expected: tuple[str, str | None, bool, bool]) -> None:
    found = read(json.dumps(raw).encode())
    assert found is not None
    assert (found.kind, found.told, found.entered) == (expected[0], *expected[2:])
    assert expected[1] in (None, found.words)


def line(**raw: Any) -> bytes:
    return json.dumps(raw).encode()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff", b"null"])
def test_what_is_no_object_is_no_line(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "a type of a later release"},
        {},
        {"type": "user"},
        {"type": "user", "message": None},
        {"type": "user", "message": "text"},
        {"type": "user", "message": {"content": 5}},
        {"type": "user", "message": {"content": [None, {"type": "text"}, {"type": "text", "text": 5}]}},
        {"type": "assistant", "message": []},
        {"type": "assistant", "message": {"content": "text", "usage": [1]}},
        {"type": "assistant", "message": {"content": [{"type": "text", "text": None}], "id": 5, "stop_reason": {}}},
        {"type": "system", "subtype": 5},
        {"type": "summary", "summary": []},
    ],
)
def test_lines_of_any_shape_are_read_without_an_error(raw: dict[str, Any]) -> None:
    read(line(**raw))


def test_the_parts_of_a_turn_are_told_apart() -> None:
    prompt = read(line(type="user", promptId="p", message={"content": "hello"}))
    block = {"type": "text", "text": "hi"}
    usage = {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard"}
    reply = read(
        line(type="assistant", message={"id": "m", "content": [block], "usage": usage, "stop_reason": "end_turn"})
    )
    tool = read(line(type="user", message={"content": [{"type": "tool_result", "tool_use_id": "t"}]}))
    stopped = read(line(type="user", message={"content": "[Request interrupted by user]"}))
    end = read(line(type="system", subtype="turn_duration", durationMs=5))
    kinds = [found.kind if found else None for found in (prompt, reply, tool, stopped, end)]
    assert kinds == ["prompt", "assistant", "tool_result", "interrupted", "turn_end"]
    assert prompt is not None
    assert (prompt.prompt_id, prompt.text) == ("p", "hello")
    assert reply is not None
    assert (reply.text, reply.usage) == ("hi", {"input_tokens": 3, "output_tokens": 4})


@pytest.mark.parametrize(("content", "text"), HALVES)
def test_half_an_emoji_does_not_cost_the_transcript_line(content: bytes, text: str) -> None:
    line = b'{"type": "user", "message": {"content": ' + content.removeprefix(b'{"delta": ') + b"}"
    parsed = read(line)
    assert parsed is not None
    assert parsed.text == parsed.words == text


def test_a_prompt_with_an_image_in_the_midst_of_a_turn_is_told_with_its_words() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    prompt = [{"type": "text", "text": "what is this?"}, image]
    line = json.dumps({"type": "attachment", "attachment": {"type": "queued_command", "prompt": prompt}}).encode()
    absorbed = read(line)
    assert absorbed is not None
    assert (absorbed.kind, absorbed.words, absorbed.own, absorbed.told) == ("absorbed", "what is this?", False, True)
