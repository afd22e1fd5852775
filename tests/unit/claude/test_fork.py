"""A fork is a copy of the transcript under another id, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from supervisor.claude.fork import copy

OLD, NEW = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def test_the_copy_has_the_other_id_and_ends_with_a_whole_line(tmp_path: Path) -> None:
    said = {"type": "user", "uuid": "u1", "sessionId": OLD, "message": {"content": f'"sessionId":"{OLD}"'}}
    lines = [json.dumps(said, separators=(",", ":")), json.dumps({"type": "mode", "sessionId": OLD}), '{"no": "id"}']
    source, target = tmp_path / f"{OLD}.jsonl", tmp_path / "elsewhere" / f"{NEW}.jsonl"
    source.write_text("".join(line + "\n" for line in lines) + '{"cut of')
    copy(source, target, OLD, NEW)
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert found == [{**said, "sessionId": NEW}, {"type": "mode", "sessionId": NEW}, {"no": "id"}]
    assert target.stat().st_mode & 0o077 == 0
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_copy_ends_before_the_message_that_is_named(tmp_path: Path) -> None:
    lines = [
        {"type": "user", "uuid": "u1", "sessionId": OLD, "message": {"content": "about u2"}},
        {"type": "assistant", "uuid": "a1", "parentUuid": "u1", "sessionId": OLD},
        {"type": "file-history-snapshot", "messageId": "u2"},
        {"type": "user", "uuid": "u2", "parentUuid": "a1", "sessionId": OLD},
        {"type": "assistant", "uuid": "a2", "parentUuid": "u2", "sessionId": OLD},
    ]
    source, target = tmp_path / f"{OLD}.jsonl", tmp_path / f"{NEW}.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    copy(source, target, OLD, NEW, before="u2")
    assert [json.loads(line).get("uuid") for line in target.read_text().splitlines()] == ["u1", "a1", None]
    target.unlink()
    for nothing in ("a2", "u3", '"u'):
        with pytest.raises(LookupError):
            copy(source, target, OLD, NEW, before=nothing)
    assert list(tmp_path.iterdir()) == [source]


def test_what_cannot_be_copied_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / f"{NEW}.jsonl"
    with pytest.raises(OSError, match="No such file"):
        copy(tmp_path / "gone.jsonl", target, OLD, NEW)
    assert list(tmp_path.iterdir()) == []
