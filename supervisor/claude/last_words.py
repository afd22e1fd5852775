"""What a `claude` that has ended left on its screen about it, and whether another start could end otherwise.

What must not regress: the words are one bounded line that drives no terminal, and of a process that had got to its prompt they
are about its failure only: what else stands there is a conversation, which is for no log.
"""

from __future__ import annotations

import re

from shared.plain_text import one_line

PERSON_LEFT = frozenset({"prompt_input_exit", "logout", "exit"})
"""SessionEnd reasons that say that somebody ended it at the terminal."""

MAX_CHARACTERS = 600
_LAST_ROWS = 8
_DRAWING = re.compile(r"[█▓▒░▐▛▜▘▝▗▖▄▀]{2,}|\.{10,}")
_FAILURE = re.compile(
    r"\b(error|fatal|exception|panic|abort|out of memory|no space|killed|denied|cannot|could not)", re.I
)
_FOR_GOOD = re.compile(r"No conversation found with session ID")
"""2.1.197 and 2.1.330, of `--resume` where the transcript is not in Claude's home, or holds no conversation."""


def last_words(rows: list[str], talked: bool = False) -> str:
    """What a process said before it ended, without its drawings. `talked`: it had got to its prompt."""
    said = [row.strip() for row in rows if any(map(str.isalnum, row)) and not _DRAWING.search(row)]
    if talked:
        said = [row for row in said[-_LAST_ROWS:] if _FAILURE.search(row)]
    return one_line(" ".join(" ".join(said).split()))[-MAX_CHARACTERS:]


def for_good(words: str) -> bool:
    """Whether the next start would end in the same way, however long one waits."""
    return _FOR_GOOD.search(words) is not None
