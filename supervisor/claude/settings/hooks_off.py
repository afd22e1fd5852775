"""Whether Claude will run hooks of ours at all, as far as that can be known before it starts.

Our settings switch them on whatever a person or a project says. What wins over ours is what the administrator of the machine
manages, and an argument of the command line. What must not regress: where hooks are off, nobody asks `permissions.rules`, so
Claude is given the rules that refuse before its first turn (`deny_rules`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared.foreign_file import SMALL, read_foreign

MANAGED = Path("/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code")
"""Where both releases look for settings that an administrator manages: `managed-settings.json` and `managed-settings.d`."""

_SWITCHES = ("disableAllHooks", "allowManagedHooksOnly")


def expected(arguments: Sequence[str], managed: Path = MANAGED) -> bool:
    """Whether these arguments or managed settings switch hooks off."""
    if "--bare" in arguments:
        return True
    files = [managed / "managed-settings.json", *sorted((managed / "managed-settings.d").glob("*.json"))]
    found: dict[str, Any] = {}
    for file in files:
        found |= _read(file)
    return any(found.get(name) is True for name in _SWITCHES)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(read_foreign(file, SMALL, follow=True))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
