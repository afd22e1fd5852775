"""Claude's own folder: where the transcript of a conversation is, and whether it holds one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from shared.foreign_file import Unreadable, open_foreign
from supervisor.claude.tail import READ_BYTES
from supervisor.claude.transcript import SAID

_SAID_WITHIN = 64 * 1024 * 1024
_CONVERSATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def transcript_path(claude_home: Path, cwd: str, conversation_id: str) -> Path:
    """Where the CLI keeps the transcript of a conversation started in `cwd`."""
    return claude_home / "projects" / re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(cwd)) / f"{conversation_id}.jsonl"


def all_transcripts(claude_home: Path) -> Iterator[Path]:
    """The transcript of every conversation, wherever it was held."""
    return (path for path in claude_home.glob("projects/*/*.jsonl") if is_transcript(path))


def is_transcript(path: Path) -> bool:
    """Whether a conversation's transcript is called like this."""
    return path.suffix == ".jsonl" and _CONVERSATION.fullmatch(path.stem) is not None


def of_subagents(transcript: Path) -> list[Path]:
    """The transcripts of those that Claude has called in this conversation."""
    folder = transcript.with_suffix("") / "subagents"
    return sorted(folder.glob("*.jsonl")) if folder.is_dir() else []


def holds_conversation(transcript: Path) -> bool:
    """Whether anything was said in it. The CLI begins the file with lines about itself; killed before the first prompt is
    written it leaves one that it then neither resumes ("No conversation found") nor lets anybody start anew (measured). Raise
    Unreadable when it is no file, or too long to tell."""
    try:
        with open_foreign(transcript) as file:
            before = b""
            for _ in range(_SAID_WITHIN // READ_BYTES):
                block = file.read(READ_BYTES)
                if SAID.search(before + block):
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
