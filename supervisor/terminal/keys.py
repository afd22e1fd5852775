"""Names of keys, as bytes for a terminal."""

from __future__ import annotations

import re

from shared.errors import InvalidRequest

NAMED: dict[str, bytes] = {
    "Enter": b"\r",
    "Escape": b"\x1b",
    "Tab": b"\t",
    "BackTab": b"\x1b[Z",
    "Backspace": b"\x7f",
    "Delete": b"\x1b[3~",
    "Space": b" ",
    "Up": b"\x1b[A",
    "Down": b"\x1b[B",
    "Right": b"\x1b[C",
    "Left": b"\x1b[D",
    "Home": b"\x1b[H",
    "End": b"\x1b[F",
    "PageUp": b"\x1b[5~",
    "PageDown": b"\x1b[6~",
} | {f"C-{letter}": bytes([ord(letter) - 96]) for letter in "abcdefghijklmnopqrstuvwxyz"}

SUSPEND = re.compile(rb"\x1a|\x1b\[(?:122[\d:]*;(?:5|69|133|197)(?::\d+)?(?:;[\d:]*)?u|27;(?:5|69|133|197);122~)")
"""Ctrl+Z in each of its spellings, with the locks on or off: both releases suspend themselves at all of them (measured)."""


def key_bytes(keys: list[str], text: str | None) -> bytes:
    """The bytes that text and then keys send. Raise InvalidRequest for a key without a name here, and for Ctrl+Z."""
    data = (text or "").encode()
    for key in keys:
        if key in NAMED:
            data += NAMED[key]
        elif len(key) == 1:
            data += key.encode()
        else:
            raise InvalidRequest(f"There is no key {key!r}. Known: {', '.join(NAMED)}.", code="unknown_key")
    if SUSPEND.search(data):
        raise InvalidRequest(
            "Ctrl+Z is not pressed: it would suspend Claude, and there is no shell to bring it back.",
            code="key_refused",
        )
    if not data:
        raise InvalidRequest("Give `keys` or `text`.", code="keys_required")
    return data
