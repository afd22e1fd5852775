"""The whole history of a session as a file, Markdown or JSON, in parts from its beginning.

What must not regress: a part reads and holds a bounded stretch of a transcript, however long that is, and nothing is kept
between two parts; together they say what the pages of `reader` say. A part ends between two entries; its cursor is the
transcript, the offset at which the next entry begins, and how many entries there were before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from shared.bus.messages import HistoryEntry
from shared.errors import InvalidRequest
from shared.plain_text import escaped
from supervisor.claude import transcript
from supervisor.claude.tail import Tail
from supervisor.claude.transcript import TranscriptLine
from supervisor.history.reader import Page, Source, finished, in_time, look_ahead

PART_BYTES = 256 * 1024
"""How much of a transcript makes a part, and is read in one go; then the next reply of Claude's begins another one. The loop
writes each part into an answer, so that it is no more than a moment's work."""

LONGEST_PARTS = 4
"""This many times as much does with any entry instead."""

_NO_LIMIT = 1 << 62
_OPENS = re.compile(r" {0,3}(?:[-*+>] +)*(`{3,}(?=[^`]*$)|~{3,})")
_CLOSES = re.compile(r" *(?:> +)*(`{3,}|~{3,})[ \t]*$")
_SILENT = frozenset({"output", "title", "summary"})


@dataclass(frozen=True)
class ExportPosition:
    """Where a part begins: the number of the transcript, the offset in it, and how many entries there were before."""

    source: int = 0
    offset: int = 0
    told: int = 0

    def __str__(self) -> str:
        return f"{self.source}.{self.offset}.{self.told}"

    @classmethod
    def parse(cls, text: str | None, sources: int) -> ExportPosition:
        """The place that `next` named. Raise InvalidRequest."""
        if text is None:
            return cls()
        numbers = text.split(".")
        if len(text) > 60 or len(numbers) != 3 or not all(n.isascii() and n.isdecimal() for n in numbers):
            raise InvalidRequest("`after` must be the `next` of the part before.", code="invalid_cursor")
        place = cls(*map(int, numbers))
        if place.source >= sources:
            raise InvalidRequest("`after` must be the `next` of the part before.", code="invalid_cursor")
        return place


def part(sources: Sequence[Source], place: ExportPosition) -> tuple[list[HistoryEntry], ExportPosition | None]:
    """The entries from a place on, oldest first, and where the next part begins; None when this was the last."""
    source = sources[place.source]
    taken, cut = _stretch(Tail(source.path, place.offset, at_once=PART_BYTES), place.offset)
    found = Page(_NO_LIMIT)
    for end, line in reversed(taken):
        found.take((place.source, end), source.conversation, line)
    if cut is not None:
        look_ahead(source, cut, found.open_calls())
    entries = [finished(entry) for entry in in_time(found.entries[::-1])]
    told = place.told + len(entries)
    if cut is not None:
        return entries, ExportPosition(place.source, cut, told)
    return entries, ExportPosition(place.source + 1, 0, told) if place.source + 1 < len(sources) else None


def _stretch(tail: Tail, start: int) -> tuple[list[tuple[int, TranscriptLine]], int | None]:
    """The lines of a part, and the offset behind the last of them; None when it is the end of the transcript."""
    taken: list[tuple[int, TranscriptLine]] = []
    before, size, reply = start, 0, None
    for line in tail.lines() if tail.changed() else ():
        read = transcript.read(line.data)
        said = read if read is not None and read.told and not read.sidechain else None
        if said is not None and taken and size >= PART_BYTES and _may_begin(said, reply, size):
            return taken, before
        if said is not None:
            taken.append((line.end, said))
            reply = said.message_id if said.kind == "assistant" else reply
        size += len(line.data)
        before = line.end
    return taken, None


def _may_begin(line: TranscriptLine, reply: str | None, size: int) -> bool:
    """Whether a part may begin with this line: with one that is not a piece of what was begun before. A prompt may stand behind
    its reply (in_time), so that a reply is preferred."""
    if line.kind == "assistant":
        return line.message_id is None or line.message_id != reply
    return size >= LONGEST_PARTS * PART_BYTES and not line.tool_results and line.kind not in _SILENT


class ExportFormat(Protocol):
    """How an export is written: what comes first, the entries, of which the first `told` are written already, what comes last."""

    name: str
    content_type: str

    def head(self) -> str:
        """What comes first."""

    def body(self, entries: Sequence[HistoryEntry], place: ExportPosition) -> str:
        """The entries of the part that begins at this place."""

    def foot(self) -> str:
        """What comes last."""


class Markdown:
    """A conversation for people to read."""

    content_type = "text/markdown; charset=utf-8"

    def __init__(self, session: str, title: str, facts: Sequence[tuple[str, str]]) -> None:
        self.name = f"{session}.md"
        self._title, self._facts = title, facts

    def head(self) -> str:
        facts = "\n".join(f"- {name}: {escaped(value)}" for name, value in self._facts)
        return f"# {escaped(self._title)}\n\n{facts}"

    def body(self, entries: Sequence[HistoryEntry], place: ExportPosition) -> str:
        pieces = ["---"] if entries and place.told and not place.offset else []
        for entry in entries:
            pieces += _section(entry)
        return "".join(f"\n\n{piece}" for piece in pieces if piece)

    def foot(self) -> str:
        return "\n"


class Json:
    """An object whose last member, `entries`, is what was said."""

    content_type = "application/json"

    def __init__(self, session: str, facts: dict[str, Any]) -> None:
        self.name = f"{session}.json"
        self._facts = facts

    def head(self) -> str:
        return _indented(self._facts).removesuffix("\n}") + ',\n  "entries": ['

    def body(self, entries: Sequence[HistoryEntry], place: ExportPosition) -> str:
        texts = ["\n" + _indented(entry) for entry in entries]
        texts = [text.replace("\n", "\n    ") for text in texts]
        return ("," if texts and place.told else "") + ",".join(texts)

    def foot(self) -> str:
        return "\n  ]\n}"


def _indented(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def written(form: ExportFormat, entries: Sequence[HistoryEntry], place: ExportPosition, last: bool) -> str:
    """One part of the file."""
    head = form.head() if place == ExportPosition() else ""
    return head + form.body(entries, place) + (form.foot() if last else "")


def _section(entry: HistoryEntry) -> list[str]:
    return [escaped(piece) for piece in _pieces(entry)]


def _pieces(entry: HistoryEntry) -> list[str]:
    when = "" if entry.at is None else msgspec.to_builtins(_utc(entry.at))
    if entry.role == "system":
        return [f"*{entry.text.strip()}*"]
    if entry.role == "command":
        return [f"**`{entry.text}`** {when}", *([_fenced(entry.output)] if entry.output else [])]
    who = "Claude" if entry.role == "assistant" or entry.source == "claude" else "You"
    who = "Another session" if entry.source == "peer" else who
    parts = [f"## {who} · {when}", _closed(entry.text.strip())]
    for call in entry.tool_calls:
        given = msgspec.json.format(msgspec.json.encode(call["input"]), indent=2).decode()
        parts += [f"**{call['name']}**", _fenced(given, "json")]
        if call.get("result"):
            parts.append(_fenced(str(call["result"]) + ("\n[cut]" if call["truncated"] else "")))
    return parts


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _fenced(text: str, language: str = "") -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _closed(text: str) -> str:
    """What was said, with an end to what it leaves open: a fence would swallow the headings that follow, a comment too."""
    return text + "".join(f"\n{end}" for end in _open_ends(text))


def _open_ends(text: str) -> list[str]:
    """What closes the block that is open at the end of a Markdown text (CommonMark 4.5, 4.6)."""
    fence = ""
    for line in text.splitlines():
        if fence:
            if (found := _CLOSES.match(line)) and found[1].startswith(fence):
                fence = ""
        elif found := _OPENS.match(line):
            fence = found[1]
    if fence:
        return [fence]
    return ["-->"] if text.rfind("<!--") > text.rfind("-->") else []
