"""Ids as they are outside: `<node>~<id>`, so that whoever reads one knows the node, and no table can be lost.

What a node says is rewritten by its shape and not by its text: what was said in a conversation, and what a tool was given, may
hold ids of its own and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MARK = "~"
NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
"""What a node may be called: it stands in addresses and in the ids of events."""

_NAME = re.compile(NAME)
_OURS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|m_[0-9A-Za-z_-]{1,64}")
_NAMED = frozenset({"sessionId", "session", "messageId", "currentMessage", "message"})
"""Members that hold an id when they hold a text that looks like one."""

_OPAQUE = frozenset({"input", "updatedInput", "result", "toolCalls", "suggestions", "questions", "fields", "resources"})
"""What a node says in the words of others."""

_OWN = ("projectPath", "sessionId", "steps", "byState", "queueLength")
"""An object with one of these is a session or a message, and its `id` is one of ours."""


def is_name(text: str) -> bool:
    """Whether a node may be called so."""
    return _NAME.fullmatch(text) is not None


def outside(node: str, id: str) -> str:
    """The id of a thing of this node."""
    return f"{node}{MARK}{id}"


def split(id: str) -> tuple[str | None, str]:
    """(node, id there); no node when none is named."""
    node, mark, rest = id.partition(MARK)
    return (node.lower(), rest) if mark and is_name(node.lower()) else (None, id)


def outward(value: Any, node: str) -> Any:
    """What a node said, with its ids as they are outside."""
    if isinstance(value, list):
        return [outward(item, node) for item in value]
    if not isinstance(value, dict):
        return value
    own = any(name in value for name in _OWN)
    return {name: _member(name, item, node, own) for name, item in value.items()}


def session(view: dict[str, Any], node: str) -> dict[str, Any]:
    """The same of a session's view, of which there are many in a list, in place."""
    for name in ("id", "sessionId"):
        if name in view:
            view[name] = outside(node, view[name])
    if view.get("currentMessage"):
        view["currentMessage"] = outside(node, view["currentMessage"])
    view["node"] = node
    return view


def inward(tree: dict[str, Any], names: tuple[str, ...], strip: Callable[[str], str]) -> dict[str, Any]:
    """A body or a query as the node knows it."""
    return {name: strip(value) if name in names and isinstance(value, str) else value for name, value in tree.items()}


def _member(name: str, value: Any, node: str, own: bool) -> Any:
    if isinstance(value, str):
        ours = name in _NAMED or (name == "id" and own)
        return outside(node, value) if ours and _OURS.fullmatch(value) else value
    return value if name in _OPAQUE else outward(value, node)
