"""What an edit would change: where in its file, whole and exactly; of files of the project only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.waiting.edit_preview import preview

LINES = [f"line {number}" for number in range(1, 101)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_an_edit_is_shown_with_its_line_numbers(file: Path) -> None:
    given = {"file_path": str(file), "old_string": "line 50\nline 51", "new_string": "line fifty\nline 51\nnew"}
    rows = (preview("Edit", given, str(file.parent)) or "").split("\n")
    assert rows[2:] == [
        "@@ -47,8 +47,9 @@",
        " line 47", " line 48", " line 49", "-line 50", "+line fifty", " line 51", "+new", " line 52", " line 53", " line 54",
    ]  # fmt: skip


def test_several_edits_and_a_file_that_is_written_anew(file: Path) -> None:
    edits = [{"old_string": "line 2\n", "new_string": ""}, {"old_string": "line 99", "new_string": "ninety-nine"}]
    shown = preview("MultiEdit", {"file_path": str(file), "edits": edits}, str(file.parent)) or ""
    assert [row for row in shown.split("\n") if row.startswith("@@")] == ["@@ -1,5 +1,4 @@", "@@ -96,5 +95,5 @@"]
    fresh = preview("Write", {"file_path": str(file.parent / "new.txt"), "content": "a\nb\n"}, str(file.parent)) or ""
    assert fresh.split("\n")[2:] == ["@@ -0,0 +1,2 @@", "+a", "+b"]


def test_what_cannot_be_shown_is_not(file: Path, tmp_path: Path) -> None:
    change = {"old_string": "line 1", "new_string": "x"}
    assert preview("Edit", {"file_path": str(file), **change}, str(tmp_path / "elsewhere")) is None
    assert preview("Edit", {"file_path": str(file), **change}, None) is None
    assert (
        preview("Edit", {"file_path": str(file), "old_string": "not there", "new_string": "x"}, str(tmp_path)) is None
    )
    assert preview("Bash", {"command": "ls"}, str(tmp_path)) is None
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert preview("Write", {"file_path": str(tmp_path / "link"), "content": "x"}, str(tmp_path)) is None
    os.mkfifo(tmp_path / "pipe")
    assert preview("Write", {"file_path": str(tmp_path / "pipe"), "content": "x"}, str(tmp_path)) is None
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert preview("Write", {"file_path": str(tmp_path / "binary"), "content": "x"}, str(tmp_path)) is None
