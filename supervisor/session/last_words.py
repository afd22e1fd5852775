"""What was said last in a conversation, for lists: its beginning, who said it, and when. Kept with the session, so that a list of
two hundred reads no transcript.

What must not regress: words of a subagent are none of the conversation; an older line that comes late replaces nothing newer.
"""

from __future__ import annotations

from supervisor.claude.transcript import TranscriptLine
from supervisor.store.records import SessionRecord
from supervisor.store.store import now_ms

MOST = 200
"""Characters that are kept."""

_ROLES = {"absorbed": "user", "assistant": "assistant"}


def take(record: SessionRecord, line: TranscriptLine) -> bool:
    """Keep what this line of the transcript says, if it says anything. Whether it did."""
    role = "user" if line.entered else _ROLES.get(line.kind)
    text = " ".join((line.text or "")[: 4 * MOST].split())
    if role is None or line.sidechain or not text:
        return False
    at = line.at or now_ms()
    if record.last_words is not None and record.last_words["at"] > at:
        return False
    record.last_words = {"role": role, "text": text[:MOST], "at": at}
    return True
