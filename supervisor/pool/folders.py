"""Where a session may be opened: folders that were used, and what lies in those that may be looked into.

What must not regress: nothing outside of `sessions.browse_roots` is told of, nor what a link leads out of them to, nor a hidden
folder; a folder with very many others is not read whole; a folder that cannot be read is an empty one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from shared.bus.messages import Wire

MOST_ENTRIES = 5000
Kind = Literal["recent", "elsewhere", "folder", "project"]
_MARKS = (".git", ".hg", "pyproject.toml", "package.json", "Cargo.toml", "go.mod", "CLAUDE.md")
"""What stands in a folder that is a project's."""


class Folder(Wire, frozen=True):
    """One place. `recent`: a session of ours was there; `elsewhere`: a conversation of Claude's; `project`: it looks like one."""

    path: str
    name: str
    kind: Kind


def used(recent: Iterable[str], elsewhere: Iterable[str], limit: int) -> list[Folder]:
    """Each once, in this order, if it is still there."""
    found: dict[str, Folder] = {}
    sources: tuple[tuple[Kind, Iterable[str]], ...] = (("recent", recent), ("elsewhere", elsewhere))
    for kind, paths in sources:
        for path in paths:
            if len(found) < limit and path not in found and os.path.isdir(path):
                found[path] = Folder(path=path, name=Path(path).name, kind=kind)
    return list(found.values())


def browse(asked: str, roots: list[Path], limit: int) -> dict[str, Any]:
    """What lies in this folder, or begins like the last part of this path, within the roots; nothing outside of them."""
    path = Path(asked).expanduser()
    whole = asked.endswith("/") or (path.is_dir() and _inside(path, roots))
    folder, beginning = (path, "") if whole else (path.parent, path.name.casefold())
    if not path.is_absolute() or not _inside(folder, roots):
        return {"path": asked, "parent": None, "folders": []}
    found = []
    for name in _names(folder):
        child = folder / name
        if name.casefold().startswith(beginning) and _inside(child, roots):
            project = any((child / mark).exists() for mark in _MARKS)
            found.append(Folder(path=str(child), name=name, kind="project" if project else "folder"))
            if len(found) == limit:
                break
    parent = folder.parent if _inside(folder.parent, roots) else None
    return {"path": str(folder), "parent": str(parent) if parent else None, "folders": found}


def _names(folder: Path) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_ENTRIES:
                    break
                if not entry.name.startswith(".") and entry.is_dir():
                    names.append(entry.name)
    except OSError:
        return []
    return sorted(names, key=str.casefold)


def _inside(path: Path, roots: list[Path]) -> bool:
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return False
    return any(real.is_relative_to(root) for root in roots)
