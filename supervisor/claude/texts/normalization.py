"""The form in which a text arrives: what is harmless and would not reach Claude as it is, is changed, and each change told.

A person pastes what a web page, a file name of macOS or a log has put into it: decomposed letters, a byte order mark, a
zero-width space, a stray control character. Measured on 2.1.197 and 2.1.330 (`docs/claude-cli.md`): the former composes to
NFC, the latter drops the invisible and makes line feeds of every other line separator. That is done here for either, before
the text is accepted, so that what was typed is known, stored and compared.

What must not regress: a text that arrives exactly is not touched; nothing visible is added or taken away; what `check_prompt`
refuses for its meaning is refused here too, also when it only shows behind a character that was dropped (`ex\\u200bit`); and
no text takes long.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import UnsendableText
from supervisor.claude.texts.invisible import without_lost
from supervisor.claude.texts.prompts import WHITE, check_prompt, leading_blanks

ROUNDS = 8
"""How often what was dropped may let letters compose, and those let more be dropped; two have been seen."""

ORDERLY_MARKS = 32
"""Combining characters in a row from which they are sorted before Python does it, whose sort is quadratic (measured: 4 s for
100 kB)."""

_LINE_ENDS = re.compile("[\x0b\x0c\x85\u2028\u2029]|\r(?!\n)")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


@dataclass(frozen=True)
class Prepared:
    """A text as it is put into the prompt box (`prompt`, with the blanks behind it that the CLI drops), as it arrives
    (`text`), and in what that differs from what was sent.

    `changes`: `nfc` (composed), `lines:N` (line separators that became line feeds), `control:N` and `invisible:N` (characters
    that were dropped), `leading:N` (blanks put before a long text), `trailing:N` (white space that was dropped at the end).
    """

    prompt: str
    text: str
    changes: list[str]


def prepare(text: str, exact: bool) -> Prepared:
    """What is typed for `text`: itself less its trailing white space; unless `exact`, its normal form where it would not
    arrive as it is. Raise what `check_prompt` raises."""
    try:
        return _prepared(check_prompt(text), {"trailing": len(text) - len(text.rstrip(WHITE))})
    except UnsendableText:
        if exact:
            raise
    normal, changes = normalized(text)
    try:
        return _prepared(check_prompt(normal), changes)
    except UnsendableText as error:
        raise UnsendableText(error.message, data={**error.data, "normalized": told(changes)}) from None


def _prepared(prompt: str, changes: dict[str, int]) -> Prepared:
    return Prepared(prompt, prompt.rstrip(WHITE), told(changes))


def told(changes: dict[str, int]) -> list[str]:
    """The changes that there are, in words for a receipt."""
    return [name if name == "nfc" else f"{name}:{count}" for name, count in changes.items() if count]


def normalized(text: str) -> tuple[str, dict[str, int]]:
    """The text in the form that arrives, and how often each change was made."""
    whole = text.rstrip(WHITE)
    changes = {"nfc": 0, "lines": 0, "control": 0, "invisible": 0, "leading": 0, "trailing": len(text) - len(whole)}
    text, changes["lines"] = _LINE_ENDS.subn("\n", whole)
    text, changes["control"] = _CONTROLS.subn("", text)
    for _ in range(ROUNDS):
        composed = compose(text)
        changes["nfc"] |= composed != text
        text, lost = without_lost(composed)
        changes["invisible"] += lost
        if not lost:
            break
    whole = text.rstrip(WHITE)
    changes["trailing"] += len(text) - len(whole)
    changes["leading"] = leading_blanks(whole)
    return " " * changes["leading"] + whole, changes


def compose(text: str) -> str:
    """Unicode form NFC."""
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", "".join(_orderly(text)))


def _orderly(text: str) -> Iterator[str]:
    """The text with each long run of combining characters in its canonical order, as NFC has it anyway."""
    for combining, run in itertools.groupby(text, lambda character: unicodedata.combining(character) > 0):
        marks = list(run)
        yield from sorted(marks, key=unicodedata.combining) if combining and len(marks) > ORDERLY_MARKS else marks
