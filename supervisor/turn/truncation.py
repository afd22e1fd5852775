"""What of a tool call an event carries: its beginning, within bounds.

A Write has the whole file in its input. Two hundred thousand such events are kept, and thousands may wait in memory for a
subscriber that does not read; the whole input is in the transcript, and in what is asked while a person may decide.
"""

from __future__ import annotations

from typing import Any

import msgspec

STRING_BYTES = 2048
"""The most of one string, in bytes of UTF-8."""

WHOLE_BYTES = 8192
"""The most of all of it, in bytes of JSON."""

MAX_DEPTH = 10
_LEFT_OUT = object()


def excerpt(value: dict[str, Any]) -> dict[str, Any]:
    """The value, within bounds. What is cut, or left out, is told by `truncated: true` beside the rest."""
    cutter = _Cutter()
    shown = cutter.cut(value, MAX_DEPTH)
    return {**shown, "truncated": True} if cutter.truncated else value


class _Cutter:
    """Goes through a value from its beginning, while there is room."""

    def __init__(self) -> None:
        self._room = WHOLE_BYTES
        self.truncated = False

    def cut(self, value: Any, depth: int) -> Any:
        """As much of the value as fits; _LEFT_OUT when nothing does."""
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, dict | list):
            if depth == 0 or not self._take(2):
                return self._leave_out()
            return self._mapping(value, depth - 1) if isinstance(value, dict) else self._items(value, depth - 1)
        return value if self._take(len(msgspec.json.encode(value)) + 1) else self._leave_out()

    def _string(self, text: str) -> Any:
        data = text.encode()
        if len(data) > STRING_BYTES:
            self.truncated = True
            text = data[:STRING_BYTES].decode("utf-8", "ignore")
        return text if self._take(len(msgspec.json.encode(text)) + 1) else self._leave_out()

    def _mapping(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        shown = {}
        for name, item in value.items():
            if not self._take(len(msgspec.json.encode(name)) + 1):
                self._leave_out()
                break
            part = self.cut(item, depth)
            if part is not _LEFT_OUT:
                shown[name] = part
        return shown

    def _items(self, value: list[Any], depth: int) -> list[Any]:
        shown = []
        for item in value:
            part = self.cut(item, depth)
            if part is _LEFT_OUT:  # the next ones would stand in its place
                break
            shown.append(part)
        return shown

    def _take(self, size: int) -> bool:
        fits = size <= self._room
        self._room = self._room - size if fits else 0  # what comes behind something that does not fit is left out, too
        return fits

    def _leave_out(self) -> Any:
        self.truncated = True
        return _LEFT_OUT
