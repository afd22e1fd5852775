"""`claude -p`: one process for one message, its prompt on standard input, what it says as JSON lines on standard output.

The text is handed over by a rename, as to the editor: the child takes `<message>.pending` and is `claude` only then, so it
is given at most once, whoever crashes. It is never a word of the command line, where others could read it. On both pinned
releases hooks and transcript say the same as of an interactive turn (docs/claude-cli.md), so they remain the truth; the lines
on standard output are read for what hooks do not tell here: the text while it streams, and why there was no turn at all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.foreign_file import read_foreign
from supervisor.claude.command_line import Launch
from supervisor.claude.hooks import MESSAGE_DISPLAY
from supervisor.claude.lenient_json import decode

STREAM = "print.jsonl"
"""What the last one has written, in the session's folder."""

MAX_STREAM_BYTES = 64 * 1024 * 1024
FLAGS = ("-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages")

TAKEN = 75
"""The exit status of a child whose prompt somebody else has taken, or was taken back."""

_SCRIPT = f"""mv "$0.pending" "$0.claimed" || exit {TAKEN}
out=$1; shift
(umask 077; : > "$out")
exec "$@" < "$0.claimed" >> "$out\""""


def wrapped(start: Launch, session_dir: Path, message_id: str) -> Launch:
    """The start of a `claude -p` that takes this message from the session's outbox."""
    program, *arguments = start.argv
    words = ["/bin/sh", "-c", _SCRIPT, str(session_dir / "outbox" / message_id), str(session_dir / STREAM)]
    return dataclasses.replace(start, argv=[*words, program, *FLAGS, *arguments])


def hooks_in_order(hooks: dict[str, Any]) -> dict[str, Any]:
    """Our hooks, each waited for: nothing is still to be told when the process has gone. Text as it is displayed is told only
    when it is whole (measured), so it is read from standard output in its place."""
    found: dict[str, Any] = {}
    for event, groups in hooks.items():
        if event != MESSAGE_DISPLAY:
            found[event] = [
                {**group, "hooks": [{k: v for k, v in hook.items() if k != "async"} for hook in group["hooks"]]}
                for group in groups
            ]
    return found


@dataclass(frozen=True)
class Piece:
    """A piece of what Claude writes, in the order of `index` within one of its messages."""

    message_id: str
    index: int
    delta: str
    final: bool = False


@dataclass
class Stream:
    """Reads the lines of one process. Subagents have their own messages, and are no part of the conversation."""

    _message: str | None = None
    _index: int = 0

    def take(self, data: bytes) -> Piece | None:
        """The piece of text that a line brings, if it does."""
        try:
            line = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if not isinstance(line, dict) or line.get("type") != "stream_event" or line.get("parent_tool_use_id"):
            return None
        event = line.get("event")
        return self._event(event) if isinstance(event, dict) else None

    def _event(self, event: dict[str, Any]) -> Piece | None:
        kind = event.get("type")
        if kind == "message_start":
            message_id = (event.get("message") or {}).get("id")
            self._message, self._index = (message_id if isinstance(message_id, str) else None), 0
        if self._message is None:
            return None
        if kind == "content_block_delta":
            delta = event.get("delta") or {}
            if delta.get("type") == "text_delta" and isinstance(delta.get("text"), str):
                self._index += 1
                return Piece(self._message, self._index - 1, delta["text"])
        elif kind == "message_stop" and self._index:
            return Piece(self._message, self._index, "", final=True)
        return None


def complaint(session_dir: Path) -> str | None:
    """What the last one has given as its result, when that was an error: why there was no turn."""
    try:
        lines = read_foreign(session_dir / STREAM, MAX_STREAM_BYTES).splitlines()
    except OSError:
        return None
    for data in reversed(lines):
        try:
            line = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(line, dict) and line.get("type") == "result" and line.get("is_error"):
            errors = line.get("errors")
            said = line.get("result") or ("; ".join(map(str, errors)) if isinstance(errors, list) else None)
            return str(said) if said else str(line.get("subtype"))
    return None
