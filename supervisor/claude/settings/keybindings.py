"""Which keys open the CLI's external editor, through which prompts are handed over, when a person has keys of their own.

By default Ctrl+G and Ctrl+X Ctrl+E do (read in both releases); `keybindings.json` in Claude's home gives keys of a context to
other actions, or to none (`null`). What must not regress: a key that does something else is not pressed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from shared.foreign_file import SMALL, read_foreign

FILE = "keybindings.json"
ACTION = "chat:externalEditor"
CONTEXTS = ("Global", "Chat")
"""Where the prompt box looks for what a key does; the latter wins."""

DEFAULTS = {"ctrl+g": ACTION, "ctrl+x ctrl+e": ACTION}
_CHORD = re.compile(r"ctrl\+[a-z]( ctrl\+[a-z])?")


def editor_key(claude_home: Path) -> bytes | None:
    """What to press for the editor; None when no key that can be typed opens it."""
    bound = _bound(claude_home)
    wanted = [keys for keys, action in bound.items() if action == ACTION and _CHORD.fullmatch(keys)]
    first = {keys for keys, action in bound.items() if action is not None and " " not in keys}
    typed = [keys for keys in wanted if keys in first or keys.split()[0] not in first]
    return _bytes(typed[0]) if typed else None


def trouble(claude_home: Path) -> str | None:
    """Why no prompt can be handed over, in words."""
    if editor_key(claude_home) is not None:
        return None
    return (
        f"{claude_home / FILE} leaves no key on Claude's external editor, through which messages are handed over. "
        f'Bind one in the context "Chat", such as "ctrl+g": "{ACTION}".'
    )


def _bound(claude_home: Path) -> dict[str, str | None]:
    bound: dict[str, str | None] = dict(DEFAULTS)
    for context in CONTEXTS:
        for block in _blocks(claude_home / FILE):
            bindings = block.get("bindings")
            if block.get("context") == context and isinstance(bindings, dict):
                for keys, action in bindings.items():
                    name = " ".join(keys.lower().replace("control+", "ctrl+").split())
                    bound.pop(name, None)
                    bound[name] = action if isinstance(action, str) else None
    return bound


def _blocks(file: Path) -> list[dict[str, Any]]:
    """What cannot be read binds nothing: the CLI keeps to its own, too."""
    try:
        tree = msgspec.json.decode(read_foreign(file, SMALL, follow=True))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []
    found = tree.get("bindings") if isinstance(tree, dict) else None
    return [block for block in found if isinstance(block, dict)] if isinstance(found, list) else []


def _bytes(keys: str) -> bytes:
    return bytes(ord(key[-1]) & 0x1F for key in keys.split())
