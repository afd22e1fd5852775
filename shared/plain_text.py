"""Text of others that must not drive what shows it: without control characters, and without what turns a line around.

Everything else is kept, also what Python calls not printable: no-break and ideographic spaces, the joiners of an emoji,
private-use characters (the icons of a font), and what a newer Unicode has. What must not regress: nothing that is kept makes a
terminal do anything but show it.
"""

from __future__ import annotations

import re

_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Controls (C0 but for tab and line feed, DEL, C1), marks of direction, separators of lines that a terminal may or may not obey,
and halves of characters."""

_ONE = re.compile(f"[{_UNSAFE}]")
_LINE = re.compile(f"[\t\n{_UNSAFE}]")


def plain(text: str, instead: str = "�") -> str:
    """Text of several lines, with `instead` for each character that could do something."""
    return _ONE.sub(instead, text)


def one_line(text: str) -> str:
    """The same on one line."""
    return _LINE.sub(" ", text)


def escaped(text: str) -> str:
    """Nothing is lost: each such character is written as Python would write it (`\\x1b`)."""
    return _ONE.sub(lambda found: repr(found[0])[1:-1], text)


def bounded(text: str, width: int) -> str:
    """At most so many characters; what is cut ends in `…`."""
    return text if len(text) <= width else text[: width - 1] + "…"
