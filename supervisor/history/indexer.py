"""What of a transcript goes into the search index: the words that were said, by whom, and what a reply cost.

Only what a person would look for is kept: texts, the input of tools and what they gave back, no images. What must not regress:
one long line costs no more than MAX_INDEXED characters; a subagent's words are not found as the session's, its tokens count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from supervisor.claude import transcript
from supervisor.claude.home import of_subagents
from supervisor.claude.tail import Tail
from supervisor.claude.transcript import TranscriptLine
from supervisor.store.search_index import Entry, TranscriptRef

MAX_INDEXED = 20_000
"""Characters of one line that are searched."""

_ROLES = {
    "prompt": "user",
    "absorbed": "user",
    "assistant": "assistant",
    "tool_result": "tool",
    "command": "command",
    "output": "command",
}


class TranscriptLines:
    """One transcript from an offset on, as `store.search_index.Lines`."""

    def __init__(self, path: Path, offset: int) -> None:
        self._tail = Tail(path, offset)

    @property
    def offset(self) -> int:
        """Behind the last line that was handed out."""
        return self._tail.offset

    @property
    def behind(self) -> bool:
        """Whether the last reading stopped before the end."""
        return self._tail.behind

    def entries(self, most: float) -> Iterator[Entry | None]:
        """The lines, about so many bytes of them."""
        for line in self._tail.lines(most):
            read = transcript.read(line.data)
            yield entry_of(read) if read is not None and read.told else None


def entry_of(line: TranscriptLine) -> Entry:
    """What the index keeps of a line."""
    return Entry(
        role="tool" if line.tool_results else _ROLES.get(line.kind),
        text=_searchable(line),
        uuid=line.uuid,
        at=line.at,
        side=line.sidechain,
        message_id=line.message_id,
        model=line.model,
        usage=line.usage,
    )


def refs_of(session: str, sources: Sequence[tuple[str, Path]]) -> list[TranscriptRef]:
    """The transcripts of one session, and those of its subagents."""
    found = []
    for conversation, path in sources:
        found.append(TranscriptRef(session, conversation, path))
        found += [TranscriptRef(session, conversation, side, side=True) for side in of_subagents(path)]
    return found


def _searchable(line: TranscriptLine) -> str:
    parts = [line.words]
    parts += [f"{tool.get('name')} {_strings(tool.get('input'))}" for tool in line.tool_uses]
    parts += [_strings(result.get("content")) for result in line.tool_results]
    return "\n".join(part for part in parts if part)[:MAX_INDEXED]


def _strings(value: Any) -> str:
    """Every text in a JSON value, but no image."""
    if isinstance(value, str):
        return value[:MAX_INDEXED]
    if isinstance(value, dict):
        if value.get("type") in ("image", "document"):
            return ""
        return " ".join(filter(None, (_strings(item) for key, item in value.items() if key != "type")))
    if isinstance(value, list):
        return " ".join(filter(None, map(_strings, value)))
    return ""
