"""Conversations that `claude` made elsewhere on this machine: which there are, and what is needed to go on with one.

Only the head and the tail of a transcript are read for what is shown; its messages are counted once per size. What must
not regress: a conversation that a live process has open, ours or not, is never opened a second time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from shared.foreign_file import odd, open_foreign, past_hole
from supervisor.claude import status_file, transcript
from supervisor.claude.home import all_transcripts, find_transcript, is_transcript
from supervisor.history.reader import lines_backwards

HEAD_BYTES = 256 * 1024
TAIL_LINES = 60
PIECE_BYTES = 1024 * 1024
MAX_TITLE = 200
MAX_SEARCHED_BYTES = 1 << 30
"""How much of what was said elsewhere is searched, newest first."""

TICK_NS = 1_000_000_000
"""More than the clock of any file system is coarse."""

CatalogPosition = tuple[int, str]
"""Of a conversation in the list: the later, the smaller its number; then its id."""


@dataclass(frozen=True)
class Conversation:
    """One transcript that is not ours. Times in milliseconds; `pid` is a live process that has it open."""

    id: str
    project_path: str | None
    title: str | None
    first_prompt: str | None
    last_activity: int
    messages: int
    pid: int | None

    def view(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "id": self.id,
            "projectPath": self.project_path,
            "title": self.title,
            "firstPrompt": self.first_prompt,
            "lastActivity": self.last_activity,
            "messages": self.messages,
            "pid": self.pid,
        }


class ConversationCatalog:
    """Reads the transcripts of one `claude` home; blocks, so call it on another thread than the loop's."""

    def __init__(self, claude_home: Path) -> None:
        self._home = claude_home
        self._known: dict[Path, tuple[tuple[int, int], Conversation | None]] = {}
        self._listed: dict[str, int] = {}
        """When each project's folder was last changed that was looked through (nanoseconds)."""

    def others(
        self, ours: Collection[str], project: str | None, limit: int, after: CatalogPosition | None = None
    ) -> tuple[list[Conversation], CatalogPosition | None]:
        """Those that are not ours and in which something was said, the most recent first, behind a place; and the place of the
        last one, when there may be more."""
        found: list[Conversation] = []
        last: CatalogPosition | None = None
        stamped = self._stamped(ours)
        for mtime, size, path in stamped:
            place = (-mtime, path.stem)
            if after is not None and place <= after:
                continue
            conversation = self._look(path, mtime, size)
            if conversation is not None and project in (None, conversation.project_path):
                if len(found) == limit:
                    break
                found.append(conversation)
                last = place
        else:
            last = None
        for path in set(self._known) - {path for _, _, path in stamped}:
            self._known.pop(path, None)  # another thread may look, too
        return found, last

    def transcripts(self, ours: Collection[str]) -> list[Path]:
        """The transcripts that are not ours and are searched: the newest MAX_SEARCHED_BYTES of them."""
        self._changed_folders()
        found, left = [], MAX_SEARCHED_BYTES
        for _, size, path in self._stamped(ours):
            left -= size
            if left < 0:
                break
            found.append(path)
        return found

    def new_transcripts(self, ours: Collection[str]) -> list[Path]:
        """As `transcripts`, of the folders in which there may be one more than when they were last asked for: with thousands of
        conversations nothing is read but the dates of the folders."""
        found = []
        for folder in self._changed_folders():
            with suppress(OSError):  # it is gone again
                paths = [Path(entry.path) for entry in os.scandir(folder)]
                found += [path for path in paths if is_transcript(path) and path.stem not in ours]
        return found

    def _changed_folders(self) -> list[str]:
        """The projects' folders that were changed since this was last asked, or so lately that they may be once more in the same
        tick of the clock."""
        changed, now = [], time.time_ns()
        with suppress(OSError):
            for folder in os.scandir(self._home / "projects"):
                if folder.is_dir() and self._listed.get(folder.path) != (at := folder.stat().st_mtime_ns):
                    changed.append(folder.path)
                    if now - at > TICK_NS:
                        self._listed[folder.path] = at
        return changed

    def _stamped(self, ours: Collection[str]) -> list[tuple[int, int, Path]]:
        """(modified, size, path) of every transcript that is not ours, the most recent first."""
        stamped = []
        for path in all_transcripts(self._home):
            if path.stem not in ours:
                try:
                    facts = path.lstat()
                except OSError:
                    continue
                if odd(facts.st_mode) is None:
                    stamped.append((facts.st_mtime_ns, facts.st_size, path))
        return sorted(stamped, key=lambda facts: (-facts[0], facts[2].stem, facts[2]))

    def one(self, conversation: str) -> Conversation | None:
        """One conversation by its id, ours or not; None when it has no transcript."""
        path = find_transcript(self._home, conversation)
        if path is None:
            return None
        facts = path.stat()
        return self._look(path, facts.st_mtime_ns, facts.st_size)

    def _look(self, path: Path, mtime: int, size: int) -> Conversation | None:
        known = self._known.get(path)
        if known is None or known[0] != (mtime, size):
            self._known[path] = known = ((mtime, size), _read(path, mtime))
        conversation = known[1]
        if conversation is None:
            return None
        pid = status_file.owner(self._home, conversation.id)
        return Conversation(**{**vars(conversation), "pid": pid})


def _read(path: Path, mtime: int) -> Conversation | None:
    try:
        with open_foreign(path) as file:
            messages = _count(file)
    except OSError:
        return None
    project, title, first, at = glimpse(path)
    if first is None and not messages:
        return None
    return Conversation(path.stem, project, title, first, at or mtime // 1_000_000, messages, None)


def glimpse(path: Path) -> tuple[str | None, str | None, str | None, int | None]:
    """Folder, title, first prompt, and time of the last line of a transcript, from its beginning and its end."""
    try:
        with open_foreign(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None, None, None, None
    project = first = title = None
    for data in head.split(b"\n")[:-1]:
        line = transcript.read(data)
        if line is None:
            continue
        project = project if project is not None else line.cwd
        if line.kind in ("prompt", "absorbed") and line.told and not line.own and first is None:
            first = _one_line(line.words)
        elif line.kind in ("title", "summary") and line.told:
            title = _one_line(line.words)
        if project and first and title:
            break
    at = None
    for count, (_, data) in enumerate(lines_backwards(path)):
        line = transcript.read(data)
        if line is not None and line.kind in ("title", "summary") and line.told:
            title = _one_line(line.words)
        at = at or (line.at if line is not None else None)
        if count >= TAIL_LINES:
            break
    return project, title, first, at


def _count(file: BinaryIO) -> int:
    """Lines that somebody said something in, roughly: prompts, replies and tool results."""
    return sum(1 for line in _beginnings(file) if transcript.counts(line[:1500]))


def _beginnings(file: BinaryIO) -> Iterator[bytes]:
    """The first bytes of each line, whose end may be far away."""
    first = True
    while piece := file.readline(PIECE_BYTES):
        if first:
            yield piece
        first = piece.endswith(b"\n")
        if not piece.strip(b"\0"):
            file.seek(past_hole(file, file.tell()))
            first = True


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1] + "…"


def project_of(path: Path) -> str | None:
    """The folder that a conversation was held in, as its transcript says."""
    try:
        with open_foreign(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    for data in head.split(b"\n")[:-1]:
        line = transcript.read(data)
        if line is not None and line.cwd is not None:
            return line.cwd
    return None
