"""What Claude says about itself: the hook log, the transcript, the status file.

All three are files that outlive the supervisor. Logs are read from an offset that is kept in the database, whole lines
only (a transcript's last line may be half written: seen), so what was said while nobody listened is read once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from supervisor.claude.lenient_json import decode

READ_BYTES = 4 * 1024 * 1024
_SAID = re.compile(rb'"type":\s?"(user|assistant|summary)"')


@dataclass(frozen=True)
class Line:
    """One whole line, and the offset behind it."""

    end: int
    data: bytes


class Tail:
    """A growing file, read line by line from an offset. A file that shrank or vanished is read from its start again."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._size = -1

    def again(self, offset: int) -> None:
        """Read once more from here: what was handed out could not be kept."""
        self.offset, self._size = offset, -1

    def changed(self) -> bool:
        """Whether there may be something new; one stat call."""
        try:
            size = os.stat(self.path).st_size
        except OSError:
            return False
        if size < self.offset:
            self.offset = 0
        return size > self.offset and size != self._size

    def lines(self) -> Iterator[Line]:
        """The whole lines behind the offset, which moves as each is handed out."""
        while True:
            try:
                with open(self.path, "rb") as file:
                    file.seek(self.offset)
                    block = file.read(READ_BYTES)
                    self._size = os.fstat(file.fileno()).st_size
            except OSError:
                return
            cut = block.rfind(b"\n")
            if cut < 0 and len(block) == READ_BYTES:
                block = self._long_line()
                cut = len(block) - 1 if block else -1
            if cut < 0:
                return
            base = self.offset
            position = 0
            while position <= cut:
                end = block.index(b"\n", position)
                line = block[position:end]
                position = end + 1
                self.offset = base + position
                if line.strip():
                    yield Line(self.offset, line)
            if len(block) < READ_BYTES:
                return

    def _long_line(self) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            line = file.readline()
        return line if line.endswith(b"\n") else b""


@dataclass(frozen=True)
class HookEvent:
    """One event of Claude's. `spool` is the file that carried it, to be removed once it is in the database."""

    name: str
    payload: dict[str, Any]
    spool: Path
    answer: Path | None = None

    @property
    def prompt_id(self) -> str | None:
        """The prompt that this belongs to."""
        value = self.payload.get("prompt_id")
        return value if isinstance(value, str) else None


class DamagedSpool(ValueError):
    """What a hook wrote cannot be read: it was cut off."""

    def __init__(self, spool: Path, why: str) -> None:
        super().__init__(f"{spool.name}: {why}")
        self.spool = spool


@dataclass(frozen=True)
class EditorEvent:
    """The editor ran: it `claimed` a message, found a `draft`, had `nothing` to hand over, or `failed`."""

    what: str
    message_id: str
    draft: Path | None = None


def parse_log_line(session_dir: Path, data: bytes) -> HookEvent | EditorEvent | None:
    """One line of hooks.log; None when it is not ours or its file is gone (it was read before). Raise DamagedSpool."""
    words = data.decode("utf-8", "replace").split()
    if len(words) >= 3 and words[0] == "editor":
        draft = session_dir / "outbox" / Path(words[3]).name if len(words) > 3 else None
        return EditorEvent(words[1], words[2], draft)
    if len(words) != 3 or words[0] != "hook":
        return None
    spool = session_dir / "spool" / Path(words[2]).name
    try:
        payload = decode(spool.read_bytes())
    except OSError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedSpool(spool, str(error)) from error
    if not isinstance(payload, dict):
        raise DamagedSpool(spool, "not an object")
    answer = spool.with_name(spool.name + ".answer")
    return HookEvent(words[1], payload, spool, answer if words[1] == "PermissionRequest" else None)


@dataclass(frozen=True)
class TranscriptLine:
    """What we use of one transcript line; unknown types have `kind` "other". An `absorbed` prompt was typed while a turn ran and
    given to Claude in the midst of it. `parent` is the `uuid` of the line before it in
    the conversation, which need not be the line before it in the file."""

    kind: str
    prompt_id: str | None = None
    text: str | None = None
    message_id: str | None = None
    tool_uses: list[dict[str, Any]] = field(default_factory=list)
    tool_results: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] | None = None
    stop_reason: str | None = None
    api_error: str | None = None
    at: str | None = None
    uuid: str | None = None
    parent: str | None = None
    sidechain: bool = False


USAGE_KEYS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def parse_transcript_line(data: bytes) -> TranscriptLine | None:
    """One line of a transcript; None when it is no JSON object."""
    try:
        raw = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(raw, dict):
        return None
    place = _Place(
        at=_string(raw.get("timestamp")),
        uuid=_string(raw.get("uuid")),
        parent=_string(raw.get("parentUuid")),
        sidechain=bool(raw.get("isSidechain")),
    )
    kind = raw.get("type")
    if kind == "user":
        return _user_line(raw, place)
    if kind == "assistant":
        return _assistant_line(raw, place)
    if kind == "system" and raw.get("subtype") == "turn_duration":
        return TranscriptLine("turn_end", **place)
    if kind == "summary":
        return TranscriptLine("summary", text=_string(raw.get("summary")))
    attachment = raw.get("attachment")
    if kind == "attachment" and isinstance(attachment, dict) and attachment.get("type") == "queued_command":
        return TranscriptLine("absorbed", text=_string(attachment.get("prompt")), **place)
    return TranscriptLine("other", **place)


class _Place(TypedDict):
    at: str | None
    uuid: str | None
    parent: str | None
    sidechain: bool


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _message(raw: dict[str, Any]) -> dict[str, Any]:
    value = raw.get("message")
    return value if isinstance(value, dict) else {}


def _user_line(raw: dict[str, Any], place: _Place) -> TranscriptLine:
    content = _message(raw).get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [b.get("text", "") for b in blocks if isinstance(b, dict) and b.get("type") == "text"]
    results = [b for b in blocks if isinstance(b, dict) and b.get("type") == "tool_result"]
    text = "\n".join(t for t in texts if isinstance(t, str)) if texts else None
    kind = "tool_result" if results else "meta" if raw.get("isMeta") or raw.get("isCompactSummary") else "user"
    if kind == "user" and text and re.match(r"\[Request interrupted by user( for tool use)?\]", text):
        kind = "interrupted"
    if results and text and "[Request interrupted by user" in text:
        kind = "interrupted"
    return TranscriptLine(
        kind,
        prompt_id=_string(raw.get("promptId")),
        text=text,
        tool_results=results,
        **place,
    )


def _assistant_line(raw: dict[str, Any], place: _Place) -> TranscriptLine:
    message = _message(raw)
    content = message.get("content")
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    texts = [b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)]
    tools = [b for b in blocks if b.get("type") == "tool_use"]
    usage = message.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    error = None
    if raw.get("isApiErrorMessage"):
        error = _string(raw.get("error")) or "api_error"
    return TranscriptLine(
        "assistant",
        text="".join(texts) if texts else None,
        message_id=_string(message.get("id")),
        tool_uses=tools,
        usage={key: usage[key] for key in USAGE_KEYS if isinstance(usage.get(key), int)} or None,
        stop_reason=_string(message.get("stop_reason")),
        api_error=error,
        **place,
    )


@dataclass(frozen=True)
class Status:
    """Claude's own word about a live process."""

    status: str
    waiting_for: str | None
    conversation_id: str | None
    updated_at: int


def status_stamp(claude_home: Path, pid: int) -> tuple[int, int, int] | None:
    """Changes whenever the status file of a process does; None when there is none."""
    try:
        seen = os.stat(f"{claude_home}/sessions/{pid}.json")
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def read_status(claude_home: Path, pid: int) -> Status | None:
    """The status file of one process; None when there is none or it is half written."""
    try:
        raw = decode((claude_home / "sessions" / f"{pid}.json").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("status"), str):
        return None
    updated = raw.get("statusUpdatedAt")
    return Status(
        status=raw["status"],
        waiting_for=_string(raw.get("waitingFor")),
        conversation_id=_string(raw.get("sessionId")),
        updated_at=updated if isinstance(updated, int) else 0,
    )


def transcript_path(claude_home: Path, cwd: str, conversation_id: str) -> Path:
    """Where the CLI keeps the transcript of a conversation started in `cwd`."""
    return claude_home / "projects" / re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(cwd)) / f"{conversation_id}.jsonl"


def holds_conversation(transcript: Path) -> bool:
    """Whether anything was said in it. The CLI begins the file with lines about itself; killed before the first prompt is
    written it leaves one that it then neither resumes ("No conversation found") nor lets anybody start anew (measured)."""
    try:
        with open(transcript, "rb") as file:
            return any(_SAID.search(line) for line in file)
    except OSError:
        return False


def find_transcript(claude_home: Path, conversation_id: str) -> Path | None:
    """The transcript of a conversation, wherever it was started."""
    if not re.fullmatch(r"[0-9A-Za-z-]{8,64}", conversation_id):
        return None
    found = sorted(claude_home.glob(f"projects/*/{conversation_id}.jsonl"))
    return found[0] if found else None
