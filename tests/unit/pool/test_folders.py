"""Folders to open a session in: what was used, and what lies within the roots; nothing else."""

from __future__ import annotations

from pathlib import Path

from supervisor.pool import folders


def test_only_what_lies_within_the_roots_is_told(tmp_path: Path) -> None:
    root, outside = (tmp_path / "root").resolve(), (tmp_path / "outside").resolve()
    for folder in (root / "alpha" / ".git", root / "beta", root / ".hidden", outside / "secret"):
        folder.mkdir(parents=True)
    (root / "way-out").symlink_to(outside)
    (root / "file").touch()

    whole = folders.browse(str(root), [root], 50)
    assert [(one.name, one.kind) for one in whole["folders"]] == [("alpha", "project"), ("beta", "folder")]
    assert whole["parent"] is None
    assert [one.name for one in folders.browse(str(root / "AL"), [root], 50)["folders"]] == ["alpha"]
    assert [one.name for one in folders.browse(f"{root}/", [root], 1)["folders"]] == ["alpha"]
    for beyond in (
        str(outside),
        str(root / ".." / "outside"),
        str(root / "way-out"),
        f"{root}/way-out/",
        "relative",
        "/",
    ):
        assert folders.browse(beyond, [root], 50)["folders"] == [], beyond


def test_what_was_used_is_told_once_and_only_if_it_is_there(tmp_path: Path) -> None:
    here, there = str(tmp_path), str(tmp_path.parent)
    found = folders.used([here, "/no/such", here], [here, there], 10)
    assert [(one.path, one.kind) for one in found] == [(here, "recent"), (there, "elsewhere")]
