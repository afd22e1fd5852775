"""Which texts the CLI receives exactly, and which must be refused.

A prompt goes in through the CLI's external editor. Measured on 2.1.197 and 2.1.330 (`docs/claude-cli.md`): tabs, CRLF,
a leading `!`, emoji sequences and 100 kB arrive byte for byte, but trailing white space is dropped, 2.1.330 removes
invisible characters and turns Unicode line separators into line feeds, 2.1.197 composes text to NFC, and at Enter a
leading slash is a command, `exit` and its relatives end the process, and a final backslash is a new line. What either
release would change or act on is refused here, with the reason and the place; nothing is ever silently altered.
"""

from __future__ import annotations

import re
import unicodedata

from shared.errors import InvalidRequest, TooLarge, UnsendableText
from shared.messages import MAX_MESSAGE_BYTES

EXIT_WORDS = frozenset({"exit", "quit", ":q", ":q!", ":wq", ":wq!"})
"""Texts that end the process when they are the whole prompt."""

_JOINERS = {"\u200c", "\u200d"}
_PRESENTATION = {"\ufe0e", "\ufe0f"}
_INVISIBLE_LETTERS = {"\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0", "\u2800"}
_JOINING_SCRIPTS = re.compile(
    "[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff]"
)


def check_prompt(text: str) -> str:
    """The prompt that the CLI will receive (trailing white space dropped). Raise UnsendableText when it would not be `text`."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise UnsendableText(
            f"The message has a lone surrogate at character {error.start}, which is not valid Unicode text."
        ) from error
    if size > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"The message has {size} bytes; at most {MAX_MESSAGE_BYTES} fit. Send the rest as an attachment.",
            code="message_too_large",
        )
    prompt = text.rstrip()
    if not prompt:
        raise InvalidRequest("The message is empty. Put the text into `message`.", code="message_required")
    _check_characters(prompt)
    _check_meaning(prompt)
    return prompt


def _check_characters(prompt: str) -> None:
    for position, character in enumerate(prompt):
        if character < "\x7f" and character >= " ":
            continue
        reason = _objection(prompt, position, character)
        if reason:
            raise UnsendableText(
                f"The message has {reason} (U+{ord(character):04X}) at character {position}, which the CLI would not "
                "receive as it is. Remove it, or send the text as an attachment."
            )
    if unicodedata.normalize("NFC", prompt) != prompt:
        raise UnsendableText(
            "The message holds decomposed characters, which the CLI would compose. Send it in Unicode form NFC, or as an "
            "attachment."
        )


def _objection(prompt: str, position: int, character: str) -> str | None:
    if character in "\n\t":
        return None
    if character == "\r":
        paired = prompt[position + 1 : position + 2] == "\n"
        return None if paired and not _lone_breaks(prompt) else "a carriage return that is not part of CRLF line ends"
    category = unicodedata.category(character)
    if category == "Cc":
        return "a control character"
    if category in ("Zl", "Zp"):
        return "a Unicode line separator"
    if category == "Cs":
        return "a lone surrogate"
    if character in _JOINERS:
        return None if _joins(prompt, position) else "an invisible joiner outside a script or emoji that needs it"
    if character in _PRESENTATION:
        return None if position and _is_visible(prompt[position - 1]) else "a variation selector without a character"
    if category == "Cf" or character in _INVISIBLE_LETTERS or _is_variation(character):
        return "an invisible character"
    if category in ("Cn", "Co"):
        return "an unassigned or private character"
    return None


def _lone_breaks(prompt: str) -> bool:
    return bool(re.search(r"\r(?!\n)|(?<!\r)\n", prompt))


def _joins(prompt: str, position: int) -> bool:
    before, behind = prompt[position - 1 : position] if position else "", prompt[position + 1 : position + 2]
    if not before or not behind:
        return False
    if _JOINING_SCRIPTS.match(before):
        return prompt[position] == "\u200d" or bool(_JOINING_SCRIPTS.match(behind))
    if prompt[position] == "\u200c":
        return False
    return _is_pictograph(before) and _is_pictograph(behind)


def _is_pictograph(character: str) -> bool:
    return character == "\ufe0f" or unicodedata.category(character) in ("So", "Sk")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNPS"


def _is_variation(character: str) -> bool:
    number = ord(character)
    return 0xFE00 <= number <= 0xFE0D or 0xE0000 <= number <= 0xE0FFF or 0x180B <= number <= 0x180F


def _check_meaning(prompt: str) -> None:
    if prompt.endswith("\\"):
        raise UnsendableText(
            "The message ends in a backslash, which the CLI takes for a line that goes on. Add a character behind it."
        )
    bare = prompt.strip()
    if bare.casefold() in EXIT_WORDS:
        raise UnsendableText(
            f"{bare!r} alone would end the session instead of reaching Claude. Add words, or delete the session."
        )
    first = bare.split(None, 1)[0]
    if first.startswith("/") and "/" not in first[1:]:
        raise UnsendableText(
            f"{first!r} would run as a slash command. Put text before it, or use the commands call for commands."
        )
