"""A fork of a conversation, made as the CLI makes one: a copy of its transcript under another id.

`--fork-session` begins with the original as it is when the process starts, and writes its copy with the first prompt; a session
that has slept before that would know what was said behind the fork. So the copy is made here, when it is asked for, and is
resumed like any other (both releases; theirs has the same lines, too). What must not regress: the copy ends with a whole
line, and is there as a whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from shared.foreign_file import open_foreign
from supervisor.claude import transcript

TEMPORARY = ".pilotlight-fork"
"""How a copy ends that is not whole yet: Claude takes it for no transcript."""


def copy(source: Path, target: Path, conversation: str, fork: str, before: str | None = None) -> None:
    """Copy the transcript of `conversation` to that of `fork`, up to its last whole line, or to the person's message `before`.
    Raise OSError, and LookupError when that message is not in it."""
    names = [b'"sessionId":"%b"', b'"sessionId": "%b"']
    renamed = [(name % conversation.encode(), name % fork.encode()) for name in names]
    unfinished = target.with_suffix(TEMPORARY)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open_foreign(source) as lines, open(unfinished, "xb", opener=_private) as copied:
            for line in lines:
                if before is not None and _is_prompt(line, before):
                    before = None
                    break
                if line.endswith(b"\n"):
                    for old, new in renamed:
                        line = line.replace(old, new)
                    copied.write(line)
            if before is not None:
                raise LookupError(before)
            copied.flush()
            os.fsync(copied.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _is_prompt(line: bytes, uuid: str) -> bool:
    if uuid.encode() not in line:
        return False
    told = transcript.read(line)
    return told is not None and told.entered and told.uuid == uuid


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
