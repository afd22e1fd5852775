"""The history of a session: what was said in it, page by page from its end (`export` writes it out from its beginning).

It is read from Claude's transcripts, so it holds what a person typed at the terminal too. A session has several after
`/clear`; they follow each other. Files are read backwards in blocks, so the newest page of a transcript of any size costs
the same, and nothing of it is kept. A page is bounded in bytes, however many entries are asked for, and ends between two
entries; its cursor is the transcript and the offset at which its oldest entry begins, and stays right while the file grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.bus.messages import HistoryEntry
from shared.errors import InvalidRequest
from shared.foreign_file import before_hole, open_foreign
from supervisor.claude import transcript
from supervisor.claude.home import find_transcript, transcript_path
from supervisor.claude.tail import MAX_LINE_BYTES
from supervisor.claude.transcript import TranscriptLine
from supervisor.store.records import SessionRecord

BLOCK = 1 << 18
MAX_TEXT = 200_000
MAX_TOOL_TEXT = 10_000
"""Longest text of an entry, and longest string of a tool's input or result, in characters."""

PAGE_BYTES = 4 * 1024 * 1024
"""About how much of a transcript makes a page, however few entries that are (of a long line MAX_TEXT counts): the loop writes it
into one answer, and a thousand long entries were 50 MB."""

_ENDS = (b"\n", b"\0")
_ROLES = {"prompt": "user", "absorbed": "user", "assistant": "assistant", "command": "command"}
LOOK_AHEAD_LINES = 400
LOOK_AHEAD_BYTES = 2 * MAX_LINE_BYTES
"""How far behind a page the results of its tool calls are looked for."""


@dataclass(frozen=True)
class Source:
    """One transcript of a session."""

    conversation: str
    path: Path


def sources_of(record: SessionRecord, claude_home: Path) -> list[Source]:
    """The transcripts of a session in the order in which they were begun."""
    found = [Source(item["id"], Path(item["transcript"])) for item in record.conversations]
    current = Path(record.transcript) if record.transcript else None
    if current is None or current.stem != record.conversation_id:
        guess = transcript_path(claude_home, record.project_path, record.conversation_id)
        current = guess if guess.exists() else find_transcript(claude_home, record.conversation_id) or guess
    return [*found, Source(record.conversation_id, current)]


def lines_backwards(path: Path, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """(offset, line) from the last whole line before `end` to the first; nothing when there is no file."""
    try:
        file = open_foreign(path)
    except OSError:
        return
    with file:
        position = file.seek(0, 2)
        if end is not None:
            position = min(position, end)
        line = _Line()
        while position > 0:
            start = max(0, position - BLOCK)
            file.seek(start)
            block = file.read(position - start)
            position = start
            at = len(block.rstrip(b"\0"))
            if at < len(block):  # bytes that nobody has written end a line, too
                found = line.begun(b"")
                if found:
                    yield start + len(block), found
            if at == 0:
                position = before_hole(file, position)
                continue
            ends = _ENDS if b"\0" in block[:at] else _ENDS[:1]
            while (cut := max(block.rfind(end, 0, at) for end in ends)) >= 0:
                found = line.begun(block[cut + 1 : at])
                if found:
                    yield start + cut + 1, found
                at = len(block[:cut].rstrip(b"\0")) if block[cut] == 0 else cut
            line.more(block[:at])
        found = line.begun(b"")
        if found:
            yield 0, found


class _Line:
    """One line, found from its end to its beginning. What stands behind the last line break is none; neither is one that is
    longer than MAX_LINE_BYTES."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = False

    def more(self, piece: bytes) -> None:
        """A piece that stands before what is known."""
        self._size += len(piece)
        if self._size > MAX_LINE_BYTES:
            self._pieces.clear()
        elif self._whole:
            self._pieces.append(piece)

    def begun(self, piece: bytes) -> bytes | None:
        """The line, which begins with this piece, if it is one; from now on it is about the line before."""
        self.more(piece)
        found = b"".join(reversed(self._pieces)) if self._whole and self._size <= MAX_LINE_BYTES else None
        self._pieces, self._size, self._whole = [], 0, True
        return found


class Page:
    """Entries are put together newest first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: list[dict[str, Any]] = []
        self.cut: tuple[int, int] | None = None
        self._results: dict[str, dict[str, Any]] = {}
        self._outputs: list[str] = []
        self._open: str | None = None
        self._size = 0

    def take(self, place: tuple[int, int], conversation: str, line: TranscriptLine, size: int = 0) -> bool:
        """One line more, of so many bytes; False when it begins an entry that has no room."""
        room = len(self.entries) < self.limit and (self._size < PAGE_BYTES or not self.entries)
        self._size += min(size, MAX_TOOL_TEXT if line.tool_results else MAX_TEXT)
        if line.tool_results:
            for result in line.tool_results:
                self._results.setdefault(str(result.get("tool_use_id")), result)
            return True
        if line.kind == "output":
            self._outputs.insert(0, line.words)
            return True
        if line.kind in ("title", "summary"):
            return True
        if line.kind == "assistant" and line.message_id and line.message_id == self._open:
            self._merge(line)
            self.cut = place
            return True
        if not room:
            return False
        self._open = line.message_id if line.kind == "assistant" else None
        self.entries.append(self._entry(conversation, line))
        self.cut = place
        return True

    def _entry(self, conversation: str, line: TranscriptLine) -> dict[str, Any]:
        role = _ROLES.get(line.kind, "system")
        entry: dict[str, Any] = {
            "id": line.uuid or "",
            "role": role,
            "text": line.words,
            "at": line.at,
            "conversation_id": conversation,
            "source": "peer" if line.peer else "claude" if line.own or role in ("assistant", "system") else "terminal",
            "prompt_id": line.prompt_id,
            "model": line.model,
            "stop_reason": line.stop_reason,
            "usage": line.usage,
            "error": line.api_error,
            "tool_calls": [self._tool(tool) for tool in line.tool_uses],
        }
        if role == "command" and self._outputs:
            entry["output"] = "\n".join(filter(None, self._outputs))
        self._outputs = []
        return entry

    def _merge(self, line: TranscriptLine) -> None:
        """An earlier piece of the same message; the usage of the later ones is the complete one."""
        entry = self.entries[-1]
        entry["id"], entry["at"] = line.uuid or entry["id"], line.at or entry["at"]
        entry["text"] = line.words + entry["text"]
        entry["tool_calls"] = [self._tool(tool) for tool in line.tool_uses] + entry["tool_calls"]
        entry["usage"] = entry["usage"] or line.usage
        entry["stop_reason"] = entry["stop_reason"] or line.stop_reason

    def _tool(self, tool: dict[str, Any]) -> dict[str, Any]:
        given, cut = _short(tool.get("input"))
        call: dict[str, Any] = {"id": tool.get("id"), "name": tool.get("name"), "input": given, "truncated": cut}
        result = self._results.pop(str(tool.get("id")), None)
        if result is not None:
            add_result(call, result)
        return call

    def open_calls(self) -> dict[str, dict[str, Any]]:
        """The tool calls that still have no result."""
        calls = (call for entry in self.entries for call in entry["tool_calls"])
        return {str(call["id"]): call for call in calls if "result" not in call}


def add_result(call: dict[str, Any], result: dict[str, Any]) -> None:
    """Put a tool's result beside its call."""
    text, cut = _short(_result_text(result.get("content")))
    call |= {"result": text, "isError": bool(result.get("is_error")), "truncated": call["truncated"] or cut}


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = []
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            text = block.get("text")
            parts.append(text if isinstance(text, str) else f"[{block.get('type', 'unknown')}]")
    return "\n".join(parts)


def _short(value: Any) -> tuple[Any, bool]:
    """The value with every long string cut, and whether one was."""
    if isinstance(value, str):
        return (value, False) if len(value) <= MAX_TOOL_TEXT else (value[:MAX_TOOL_TEXT], True)
    if isinstance(value, dict):
        pairs = {key: _short(item) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, any(cut for _, cut in pairs.values())
    if isinstance(value, list):
        items = [_short(item) for item in value]
        return [item for item, _ in items], any(cut for _, cut in items)
    return value, False


def page(sources: Sequence[Source], before: str | None, limit: int) -> tuple[list[HistoryEntry], str | None]:
    """The newest entries before a cursor, oldest first, and the cursor for the page before. Raise InvalidRequest."""
    last, end = _cursor(before, len(sources))
    found = Page(limit)
    full = False
    for index in range(last, -1, -1):
        source = sources[index]
        for offset, data in lines_backwards(source.path, end):
            line = transcript.read(data)
            said = line is not None and line.told and not line.sidechain
            if line is not None and said and not found.take((index, offset), source.conversation, line, len(data)):
                full = True
                break
        if full:
            break
        end = None
    if before is not None:
        look_ahead(sources[last], int(before.partition(".")[2]), found.open_calls())
    entries = [finished(entry) for entry in in_time(found.entries[::-1])]
    return entries, f"{found.cut[0]}.{found.cut[1]}" if full and found.cut else None


def in_time(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of their time stamps within each conversation: a CLI under load has written the first reply before
    its prompt (seen on 2.1.197)."""
    stamped: list[tuple[int, int, dict[str, Any]]] = []
    chapter, conversation, at = 0, None, 0
    for entry in entries:
        if entry["conversation_id"] != conversation:
            chapter, conversation, at = chapter + 1, entry["conversation_id"], 0
        at = at if entry["at"] is None else entry["at"]
        stamped.append((chapter, at, entry))
    return [entry for _, _, entry in sorted(stamped, key=lambda item: item[:2])]


def finished(entry: dict[str, Any]) -> HistoryEntry:
    """As clients see it, its text within bounds."""
    text = entry["text"]
    if len(text) > MAX_TEXT:
        entry |= {"text": text[:MAX_TEXT], "truncated": True}
    return HistoryEntry(**entry)


def _cursor(before: str | None, count: int) -> tuple[int, int | None]:
    if before is None:
        return count - 1, None
    index, dot, offset = before.partition(".")
    if not dot or not index.isdecimal() or not offset.isdecimal() or len(before) > 30 or int(index) >= count:
        raise InvalidRequest("`before` must be the `next` of the page that follows.", code="invalid_cursor")
    return int(index), int(offset)


def look_ahead(source: Source, start: int, calls: dict[str, dict[str, Any]]) -> None:
    """Results that lie behind the page, because a prompt came in between."""
    if not calls:
        return
    try:
        with open_foreign(source.path) as file:
            file.seek(start)
            for _ in range(LOOK_AHEAD_LINES):
                data = file.readline(MAX_LINE_BYTES)
                if not data or file.tell() - start > LOOK_AHEAD_BYTES:
                    return
                line = transcript.read(data)
                for result in line.tool_results if line is not None else ():
                    call = calls.pop(str(result.get("tool_use_id")), None)
                    if call is not None:
                        add_result(call, result)
                if not calls:
                    return
    except OSError:
        return
