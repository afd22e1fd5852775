"""Which parts of a prompt the CLI takes for `@path`, and which files they may mean.

The CLI reads such a file, or lists such a folder, before the model sees the prompt, and asks nobody. Measured on 2.1.197 and
2.1.330, form by form (docs/claude-cli.md, tests/real/test_mentions.py). What must not regress: whatever a release takes for a
path is found here. So where it cuts a name off (behind its last ASCII letter, at a `#`), each of the possible names counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_SPACE = "\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_BEFORE = rf"(?<![^{_SPACE}\u3002\u3001\uff1f\uff01])"
"""At the beginning, behind white space, or behind one of four full-width signs."""

_QUOTED = re.compile(rf'{_BEFORE}@"([^"]+)"')
_BARE = re.compile(rf'{_BEFORE}@([^{_SPACE}"][^{_SPACE}]*)')
_TO_LAST_LETTER = re.compile(r".*[A-Za-z0-9_]", re.DOTALL)
_WHITE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))

ELSEWHERE = ("/proc", "/dev")
"""Folders whose links mean another file to another process: where they lead cannot be told from here."""


def names(text: str) -> Iterator[str]:
    """Every name that a prompt may mention, each once, as it is written."""
    seen: set[str] = set()
    for pattern in (_QUOTED, _BARE):
        for match in pattern.finditer(text) if "@" in text else ():
            whole = match.group(1)
            cut = _TO_LAST_LETTER.match(whole)
            for name in (whole, cut.group() if cut else ""):
                for file in (name, name.partition("#")[0]):
                    if (trimmed := file.strip(_WHITE)) and trimmed not in seen:
                        seen.add(trimmed)
                        yield trimmed


def candidates(name: str, bases: Sequence[Path], home: Path) -> list[Path]:
    """Where a name leads: one real path for each folder that Claude may be in. Names that lead nowhere lead to no place: their
    first part, in `/` or in such a folder, is not there."""
    found = []
    if name == "~" or name.startswith("~/"):
        name = str(home / name[2:])
    for base in bases:
        path = Path(os.path.normpath(base / name))
        if not name.startswith("/") and not path.is_relative_to(base):
            first = path
        else:
            top = Path("/") if name.startswith("/") else base
            first = top.joinpath(*path.relative_to(top).parts[:1])
        if any(path.is_relative_to(folder) for folder in ELSEWHERE):
            found.append(path)
        elif first == path or os.path.lexists(first):
            found.append(Path(os.path.realpath(path)))
    return found
