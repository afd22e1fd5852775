"""The hook log: one line for each event of Claude's hooks and each call of the editor, the event itself in a file of the spool.

`hook.sh` and `editor.sh` write it, also while no supervisor runs. What must not regress: a line is read once, and what was
cut off is named, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.foreign_file import Unreadable, read_foreign
from supervisor.claude.hooks import ASKING_EVENTS
from supervisor.claude.lenient_json import decode

MAX_HOOK_LINE_BYTES = 64 * 1024
"""The longest line of a hook log: ours are some 60 bytes."""

MAX_SPOOL_BYTES = MAX_DRAFT_BYTES = 16 * 1024 * 1024


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
    """The editor ran: it `claimed` a message, found a `draft`, had `nothing` to hand over, or `failed`; or it has become the
    person's own (`person`, with its process in place of the message)."""

    what: str
    message_id: str
    draft: Path | None = None

    def draft_text(self) -> str | None:
        """What was in the box; None when that cannot be read."""
        try:
            return None if self.draft is None else read_foreign(self.draft, MAX_DRAFT_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            return None


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
    return HookEvent(words[1], payload, spool, answer if words[1] in ASKING_EVENTS else None)
