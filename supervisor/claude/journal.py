"""What Claude says about itself: the hook log, the transcript, the status file.

All three are files that outlive the supervisor. Logs are read from an offset that is kept in the database, whole lines
only (a transcript's last line may be half written: seen), so what was said while nobody listened is read once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import msgspec

from shared.foreign_file import SMALL, Unreadable, odd, open_foreign, past_hole, read_foreign
from supervisor.claude.lenient_json import decode

READ_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that is read, images and all; a longer one is passed over."""

MAX_HOOK_LINE_BYTES = 64 * 1024
"""The longest line of a hook log: ours are some 60 bytes."""

MAX_SPOOL_BYTES = 16 * 1024 * 1024
_SAID = re.compile(rb'"type":\s?"(user|assistant|summary)"')
_LINE_END = re.compile(rb"[\n\0]")
_SAID_WITHIN = 64 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """One whole line, and the offset behind it."""

    end: int
    data: bytes


class Tail:
    """A growing file, read line by line from an offset. A file that shrank or vanished is read from its start again.

    `trouble` says why it cannot be read as it is: it is no file, or has a line that is longer than `longest`, which is then
    passed over. `behind`: the last reading stopped before the end.
    """

    def __init__(self, path: Path, offset: int = 0, longest: int = MAX_LINE_BYTES) -> None:
        self.path = path
        self.offset = offset
        self.trouble: str | None = None
        self.behind = False
        self._longest = longest
        self._size = -1
        self._passing = False

    def again(self, offset: int) -> None:
        """Read once more from here: what was handed out could not be kept."""
        self.offset, self._size, self._passing = offset, -1, False

    def changed(self) -> bool:
        """Whether there may be something new; one stat call."""
        try:
            seen = os.lstat(self.path)
        except OSError:
            return False
        if reason := odd(seen.st_mode):
            self.trouble = reason
            return False
        if seen.st_size < self.offset:
            self.offset, self._passing = 0, False
        return seen.st_size > self.offset and (self.behind or seen.st_size != self._size)

    def lines(self, most: float = inf) -> Iterator[Line]:
        """The whole lines behind the offset, which moves as each is handed out; about so many bytes of them."""
        self.behind = False
        while True:
            before = self.offset
            try:
                with open_foreign(self.path) as file:
                    block = self._block(file)
                    self._size = os.fstat(file.fileno()).st_size
            except Unreadable as error:
                self.trouble = error.reason
                return
            except OSError:
                return
            yield from self._whole_lines(block)
            most -= len(block) or READ_BYTES
            if self.offset == before or 0 < len(block) < READ_BYTES:
                return
            if most <= 0:
                self.behind = True
                return

    def _whole_lines(self, block: bytes) -> Iterator[Line]:
        base, position, cut = self.offset, 0, block.rfind(b"\n")
        while position <= cut:
            end = block.index(b"\n", position)
            line = block[position:end]
            if b"\0" in line:  # half a line, and what was written behind a hole
                line = line[line.rindex(b"\0") + 1 :]
            position = end + 1
            self.offset = base + position
            if line.strip():
                yield Line(self.offset, line)

    def _block(self, file: BinaryIO) -> bytes:
        """What stands behind the offset, with a whole line at least if there is one; nothing when the offset was moved over what
        is no line: bytes that nobody has written (a hole, or what a power cut leaves), or one that is too long."""
        file.seek(self.offset)
        block = file.read(READ_BYTES)
        unwritten = len(block) - len(block.lstrip(b"\0"))
        if unwritten:
            self._passing = False
            behind = self.offset + unwritten
            self.offset = behind if unwritten < len(block) else past_hole(file, behind)
            return b""
        if not self._passing and (b"\n" in block or len(block) < min(READ_BYTES, self._longest)):
            return block
        if not self._passing and b"\0" not in block:
            block += file.readline(max(0, self._longest - len(block)))
            if block.endswith(b"\n") or len(block) < self._longest:
                return block
            self.trouble = f"it has a line of more than {self._longest // 1024} kB"
        end = _LINE_END.search(block)
        self._passing = end is None
        self.offset += len(block) if end is None else end.end() if end.group() == b"\n" else end.start()
        return b""


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
        payload = decode(read_foreign(spool, MAX_SPOOL_BYTES))
    except Unreadable as error:
        raise DamagedSpool(spool, error.reason) from error
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
    given to Claude in the midst of it; a person's Stop hook that has Claude go on gives `feedback`, and a hook that refuses
    a prompt `refused`. `parent` is the `uuid` of
    the line before it in the conversation, which need not be the line before it in the file."""

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
    if kind == "system" and raw.get("subtype") == "informational" and raw.get("preventContinuation"):
        return TranscriptLine("refused", text=_string(raw.get("content")), **place)
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
    if kind == "meta" and text and text.startswith("Stop hook feedback:"):
        kind = "feedback"
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


def status_path(claude_home: Path, pid: int) -> Path:
    """Where the CLI says what one of its processes is doing."""
    return claude_home / "sessions" / f"{pid}.json"


def status_stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes whenever a status file does; None when there is none."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def read_status(path: Path) -> Status | None:
    """What a status file says; None when there is none or it is half written. Raise Unreadable when it is no file."""
    try:
        raw = decode(read_foreign(path, SMALL))
    except Unreadable:
        raise
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
    written it leaves one that it then neither resumes ("No conversation found") nor lets anybody start anew (measured). Raise
    Unreadable when it is no file, or too long to tell."""
    try:
        with open_foreign(transcript) as file:
            before = b""
            for _ in range(_SAID_WITHIN // READ_BYTES):
                block = file.read(READ_BYTES)
                if _SAID.search(before + block):
                    return True
                if len(block) < READ_BYTES:
                    return False
                before = block[-64:]
    except Unreadable:
        raise
    except OSError:
        return False
    raise Unreadable(transcript, f"nothing is said in the first {_SAID_WITHIN // 1024**2} MB of it")


def find_transcript(claude_home: Path, conversation_id: str) -> Path | None:
    """The transcript of a conversation, wherever it was started."""
    if not re.fullmatch(r"[0-9A-Za-z-]{8,64}", conversation_id):
        return None
    found = sorted(claude_home.glob(f"projects/*/{conversation_id}.jsonl"))
    return found[0] if found else None
