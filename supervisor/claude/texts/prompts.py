"""Which texts the CLI receives exactly, and which must be refused.

A prompt goes in through the CLI's external editor. Measured on 2.1.197 and 2.1.330, code point by code point
(`docs/claude-cli.md`, `tests/real/test_exactness.py`): everything arrives byte for byte but for the following, and that is
refused with the reason and the place, so that nothing is ever silently altered or acted upon.

- Trailing white space is dropped; 2.1.330 drops control characters and most invisible ones (`invisible`), turns line
  separators and a lone carriage return into line feeds, and marks what looks like its own `<pasted_content>`.
- 2.1.197 composes text to NFC, and expands `[Pasted text #1]` in a long text.
- From `LONG` characters on the CLI keeps the middle of a text apart while it edits the ends: what belongs together must not
  lie across a cut. Blanks behind it move the second cut, and are dropped; the first one stays where it is.
- At Enter a leading slash is a command, `exit` and its relatives end the process, a final backslash means a new line, and
  a final `:smi`, `/hel` or `@./` is completed by a popup. The last two are why the box gets one space more than the text:
  it is dropped with all other trailing white space, and keeps the popup closed.

Whatever else a later release does to a text shows when its submitted prompt is compared with ours.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

from shared.bus.messages import MAX_MESSAGE_BYTES
from shared.errors import InvalidRequest, TooLarge, UnsendableText
from supervisor.claude.texts.invisible import SKINS, first_lost, is_invisible

EXIT_WORDS = frozenset({"exit", "quit", ":q", ":q!", ":wq", ":wq!"})
"""Texts that end the process when they are the whole prompt."""

LONG = 10_000
"""UTF-16 units from which the CLI keeps the middle of a text apart."""

CUT = 500
"""How many units it keeps of either end."""

MOST_BLANKS = 16
"""How many blanks are tried before and behind a long text until no character that belongs to others lies at a cut; the
longest emoji (the flag of Scotland) has 14 units."""

WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)")
_COMMAND = re.compile(r"/[\w:.@+~-]*")
_PLACEHOLDER = re.compile(r"\[(?:Pasted text|Image|\.\.\.Truncated text) #\d")
_ANGLES = (
    "<\xab\u02c2\u1438\u2039\u226a\u22d8\u276c\u276e\u2770\u27e8\u27ea\u2991\u2993\u29fc\u2a79\u2aa1\u2af7\u3008\u300a"
    "\ufe3d\ufe3f\ufe64\uff1c"
)
_TAG = re.compile(rf"[{_ANGLES}][^\w{_ANGLES}]{{0,16}}+(\w{{6}})[\W_]{{1,3}}(\w{{7}})")


def check_prompt(text: str) -> str:
    """What the editor puts into the box so that the CLI receives `text` less its trailing white space, and nothing happens
    but that. Raise InvalidRequest (blank), TooLarge, or UnsendableText when the CLI would change the text or act on it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _unsendable("a lone surrogate", text, error.start, "It is not valid Unicode text.") from error
    if size > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"The message has {size} bytes; at most {MAX_MESSAGE_BYTES} fit. Send the rest as an attachment.",
            code="message_too_large",
        )
    prompt = text.rstrip(WHITE)
    if not prompt:
        raise InvalidRequest("The message is empty. Put the text into `message`.", code="message_required")
    closing = _closing(prompt)
    _check_characters(prompt, closing)
    _check_meaning(prompt)
    return prompt + closing


def _unsendable(what: str, text: str, position: int, advice: str) -> UnsendableText:
    number = f" (U+{ord(text[position]):04X})" if position < len(text) else ""
    return UnsendableText(
        f"The message has {what}{number} at character {position}, which the CLI would not receive as it is. {advice}",
        data={"position": position},
    )


def _check_characters(prompt: str, closing: str) -> None:
    control = _CONTROL.search(prompt)
    if control:
        what = {
            "\r": "a carriage return that is not part of a CRLF line end",
            "\u2028": "a Unicode line separator",
            "\u2029": "a Unicode paragraph separator",
        }.get(control.group(), "a control character")
        raise _unsendable(what, prompt, control.start(), "Remove it, or send the text as an attachment.")
    if not unicodedata.is_normalized("NFC", prompt):
        raise _unsendable(
            "decomposed characters",
            prompt,
            _denormal(prompt),
            "Send it in Unicode form NFC, or as an attachment.",
        )
    for start, piece in _pieces(prompt, closing):
        lost = first_lost(piece)
        if lost is not None:
            raise _unsendable(
                "an invisible character outside a script or emoji that needs it",
                prompt,
                start + lost,
                "Remove it, or send the text as an attachment.",
            )


def _denormal(prompt: str) -> int:
    """The index of the first character that keeps `prompt` from being NFC."""
    low, high = 0, len(prompt)
    while high - low > 1:
        middle = (low + high) // 2
        if unicodedata.is_normalized("NFC", prompt[:middle]):
            low = middle
        else:
            high = middle
    return low


def _units(text: str) -> int:
    """Its length as the CLI counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _pieces(prompt: str, closing: str) -> list[tuple[int, str]]:
    """The parts of a text that the CLI treats on their own, each with its index. Raise UnsendableText when a cut would go
    through a line end or a character."""
    units = (prompt + closing).encode("utf-16-le")
    total = len(units) // 2
    if total < LONG:
        return [(0, prompt)]
    _check_placeholders(prompt)
    edges = [0, *(_edge(prompt, units[: 2 * cut]) for cut in (CUT, total - CUT)), len(prompt)]
    return [(start, prompt[start:end]) for start, end in itertools.pairwise(edges)]


def _edge(prompt: str, units: bytes) -> int:
    """How many characters of `prompt` the leading UTF-16 `units` are."""
    head = units.decode("utf-16-le", "surrogatepass")
    advice = "The CLI cuts a long text in two there: put a space somewhere before it."
    if "\ud800" <= head[-1] <= "\udbff":
        raise _unsendable("a character in two parts", prompt, len(head) - 1, advice)
    if prompt[len(head) - 1 : len(head) + 1] == "\r\n":
        raise _unsendable("a CRLF line end", prompt, len(head) - 1, advice)
    return len(head)


def _closing(prompt: str) -> str:
    """The blanks behind a text: one, or as many as put the second cut of a long one between two characters."""
    if _units(prompt) + 1 < LONG:
        return " "
    tail = prompt[-CUT:]
    count = next((n for n in range(1, MOST_BLANKS + 1) if _is_apart(tail, _units(tail) + n - CUT)), 1)
    return " " * count


def leading_blanks(prompt: str) -> int:
    """How many blanks before a text put the first cut of a long one between two characters; 0 when it needs none."""
    if _units(prompt) + 1 < LONG:
        return 0
    head = prompt[: CUT + 1]
    return next((n for n in range(MOST_BLANKS) if _is_apart(head, CUT - n)), 0)


def _is_apart(text: str, cut: int) -> bool:
    """Whether a cut at this unit has nothing on its two sides that belongs together."""
    units = text.encode("utf-16-le", "surrogatepass")
    head = units[: 2 * cut].decode("utf-16-le", "surrogatepass")
    before, after = head[-1:], text[len(head) : len(head) + 1]
    if "\ud800" <= before <= "\udbff" or before + after == "\r\n":
        return False
    joined = is_invisible(after) or after in SKINS or unicodedata.category(after).startswith("M") if after else False
    return not (joined or is_invisible(before))


def _check_placeholders(prompt: str) -> None:
    placeholder = _PLACEHOLDER.search(prompt)
    if placeholder:
        raise _unsendable(
            f"{placeholder.group()!r}",
            prompt,
            placeholder.start(),
            "The CLI would put other text in its place: write it differently, or send the text as an attachment.",
        )


def _check_meaning(prompt: str) -> None:
    bare = prompt.strip()
    if bare.casefold() in EXIT_WORDS:
        raise UnsendableText(
            f"{bare!r} alone would end the session instead of reaching Claude. Add words, or delete the session."
        )
    first = bare.split(None, 1)[0]
    if _COMMAND.fullmatch(first):
        raise UnsendableText(
            f"{first!r} would run as a slash command. Put text before it, or use the commands call for commands."
        )
    for tag in _TAG.finditer(prompt):
        if _reads_as(tag.group(1), "pasted") and _reads_as(tag.group(2), "content"):
            raise _unsendable(
                "what looks like the CLI's own <pasted_content> tag",
                prompt,
                tag.start(),
                "Write it differently, or send the text as an attachment.",
            )


def _reads_as(word: str, meant: str) -> bool:
    """Whether a person could take `word` for `meant`; any foreign letter may look like the one that is meant."""
    for seen, letter in zip(word, meant, strict=True):
        plain = unicodedata.normalize("NFKD", seen)[:1].casefold()
        if plain.isascii() and plain != letter:
            return False
    return True


def same_prompt(seen: str, prompt: str) -> bool:
    """Whether two texts are one prompt: the CLI drops trailing white space, and may change line ends."""
    return (
        seen.rstrip() == prompt.rstrip() or seen.replace("\r\n", "\n").rstrip() == prompt.replace("\r\n", "\n").rstrip()
    )


def may_be_draft_of(draft: str, prompt: str) -> bool:
    """Whether what stands in the box may be the end of this prompt. Only letters and digits are compared, since the screen
    wraps lines and widens tabs, and letters may be missing: some scripts are drawn with gaps (Tamil, Bengali, lone Jamo)."""
    seen = "".join(filter(str.isalnum, draft))[-24:]
    letters = "".join(filter(str.isalnum, prompt))
    if seen in letters:
        return True
    behind = iter(letters[-72:])
    return all(letter in behind for letter in seen)
