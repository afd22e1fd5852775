"""The last words of a conversation: the newest, of either, cut to one line."""

from __future__ import annotations

from supervisor.claude.transcript import TranscriptLine
from supervisor.session.last_words import take
from supervisor.store.records import SessionRecord


def test_the_newest_words_are_kept_and_those_of_a_subagent_are_not() -> None:
    record = SessionRecord(id="s", project_path="/p", created_at=0, last_activity=0, state="idle", conversation_id="c")

    def said(kind: str, text: str, at: int, **more: bool) -> bool:
        return take(record, TranscriptLine(kind=kind, text=text, at=1_000 * at, **more))

    assert said("prompt", "Fix\n\n  the build", 1)
    assert said("assistant", "Done.\n" + "x" * 1000, 5)
    assert not said("assistant", "an agent's", 6, sidechain=True)
    assert not said("tool_result", "output", 7)
    assert not said("assistant", " ", 8)
    assert not said("prompt", "late", 3), "an older line that comes late"
    assert record.last_words is not None
    assert record.last_words["role"] == "assistant"
    assert record.last_words["text"] == ("Done. " + "x" * 194)
