"""The permission mode as the row below the prompt box says it: a person's Shift+Tab shows nowhere else until the next prompt.

Wording of 2.1.197 and 2.1.330. The former has no word for the default mode and offers its shortcuts instead.
"""

from __future__ import annotations

import re

_MODE = re.compile(
    r"^\s{0,4}[⏸⏵]+\s*(manual|plan|accept edits|auto|bypass permissions|don.t ask)(?: mode)? on\b", re.MULTILINE
)
_SHORTCUTS = re.compile(r"^\s{0,4}\? for shortcuts\b", re.MULTILINE)
_NAMES = {
    "manual": "default",
    "plan": "plan",
    "accept edits": "acceptEdits",
    "auto": "auto",
    "bypass permissions": "bypassPermissions",
}


def mode(footer: str) -> str | None:
    """The mode as hooks and the command line name it; None when nothing there says it."""
    found = _MODE.search(footer)
    if found is not None:
        return _NAMES.get(found.group(1), "dontAsk")
    return "default" if _SHORTCUTS.search(footer) else None
