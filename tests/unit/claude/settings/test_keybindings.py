"""The key that opens the CLI's editor, with a person's own bindings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.claude.settings.keybindings import ACTION, editor_key, trouble


def bind(home: Path, *blocks: Any) -> None:
    (home / "keybindings.json").write_text(json.dumps({"bindings": list(blocks)}))


CASES: list[tuple[dict[str, Any], bytes | None]] = [
    ({}, b"\x07"),
    ({"ctrl+g": "chat:stash"}, b"\x18\x05"),
    ({"Ctrl+G": None}, b"\x18\x05"),
    ({"ctrl+g": None, "ctrl+x ctrl+e": None}, None),
    ({"ctrl+g": None, "ctrl+x": "chat:cancel"}, None),
    ({"ctrl+g": None, "ctrl+x ctrl+e": None, "ctrl+y": ACTION}, b"\x19"),
    ({"ctrl+g": None, "ctrl+x ctrl+e": None, "f9": ACTION}, None),
    ({"enter": "chat:newline"}, b"\x07"),
]


@pytest.mark.parametrize(("bound", "key"), CASES)
def test_the_key_is_one_that_opens_the_editor(tmp_path: Path, bound: dict[str, Any], key: bytes | None) -> None:
    bind(tmp_path, {"context": "Chat", "bindings": bound})
    assert editor_key(tmp_path) == key
    assert (trouble(tmp_path) is None) == (key is not None)


def test_other_contexts_take_nothing_but_the_global_one(tmp_path: Path) -> None:
    bind(tmp_path, {"context": "Transcript", "bindings": {"ctrl+g": "x"}})
    assert editor_key(tmp_path) == b"\x07"
    bind(tmp_path, {"context": "Global", "bindings": {"ctrl+g": "app:toggleTodos"}})
    assert editor_key(tmp_path) == b"\x18\x05"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"bindings": 5}', '{"bindings": [5, {"context": "Chat", "bindings": 3}]}']
)
def test_a_file_that_cannot_be_read_takes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "keybindings.json").write_text(text)
    assert editor_key(tmp_path) == b"\x07"
