"""What an edit would change in its file: a unified diff with line numbers, for the card on which a person decides.

The input of an edit says what is replaced by what, and not where. What must not regress: a file outside of the folder that
Claude is in is not read for it, nor one that is no plain text of moderate size; a preview is never a condition of being asked, so
whatever goes wrong there is none.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.foreign_file import read_foreign
from supervisor.claude import tools

MOST_BYTES = 512 * 1024
MOST_LINES = 4000
"""Of a file that is written anew: comparing longer ones takes longer than a person is kept waiting for."""

CONTEXT = 3


def preview(tool: str, given: Mapping[str, Any], folder: str | None) -> str | None:
    """The diff of this edit within `folder`; None when there is none to show."""
    try:
        path = Path(str(given.get("file_path") or ""))
        if folder is None or not path.is_absolute() or not path.resolve().is_relative_to(Path(folder).resolve()):
            return None
        before = read_foreign(path, MOST_BYTES).decode() if path.exists() else ""
        after = tools.edited(tool, given, before)
    except (OSError, ValueError, RuntimeError):
        return None
    if after is None or after == before or len(after) > MOST_BYTES:
        return None
    return _diff(before, after, str(path))


def _diff(before: str, after: str, path: str) -> str | None:
    """Only the region that differs is compared, since most of a long file is the same."""
    a, b = before.splitlines(), after.splitlines()
    head = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    first, last = max(0, head - CONTEXT), max(0, tail - CONTEXT)
    old, new = a[first : len(a) - last], b[first : len(b) - last]
    if len(old) + len(new) > MOST_LINES:
        return None
    rows = list(difflib.unified_diff(old, new, path, path, n=CONTEXT, lineterm=""))
    return "\n".join(_moved(row, first) if row.startswith("@@") else row for row in rows) or None


def _moved(row: str, by: int) -> str:
    """A hunk's head with the lines that were left out before it counted in."""

    def part(text: str) -> str:
        start, _, count = text[1:].partition(",")
        return f"{text[0]}{int(start) + by}{',' + count if count else ''}"

    _, old, new, _ = row.split(" ")
    return f"@@ {part(old)} {part(new)} @@"
