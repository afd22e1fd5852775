"""Claude's tools by their names, and what their inputs say: what an edit makes of a file. Those that ask a person, and what says
what a use is about, are in `shared/claude_names.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CRON_CREATE, CRON_DELETE = "CronCreate", "CronDelete"
WRITE, EDIT, MULTI_EDIT = "Write", "Edit", "MultiEdit"

PATHS = frozenset({"file_path", "notebook_path", "path"})
"""Those members of an input that name a file or a folder."""


def edited(tool: str, given: Mapping[str, Any], before: str) -> str | None:
    """What this tool, with this input, makes of a file's text; None where it makes nothing of it."""
    if tool == WRITE:
        content = given.get("content")
        return content if isinstance(content, str) else None
    edits = given.get("edits") if tool == MULTI_EDIT else [given] if tool == EDIT else None
    if not isinstance(edits, list):
        return None
    text = before
    for edit in edits:
        old, new = edit.get("old_string"), edit.get("new_string")
        if not isinstance(old, str) or not isinstance(new, str) or not old or old not in text:
            return None  # Claude would be refused, or the file has changed since
        text = text.replace(old, new, -1 if edit.get("replace_all") else 1)
    return text
