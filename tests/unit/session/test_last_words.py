"""The last words of a conversation: the newest, of either, cut to one line."""

from __future__ import annotations

from supervisor.claude.transcript import TranscriptLine
from supervisor.session.last_words import take
from supervisor.store.records import SessionRecord


def test_the_newest_words_are_kept_and_those_of_a_subagent_are_not() -> None:
    record = SessionRecord(id="s", project_path="/p", created_at=0, last_activity=0, state="idle", conversation_id="c")

    def said(kind: str, text: str, at: str, **more: bool) -> bool:
        return take(record, TranscriptLine(kind=kind, text=text, at=f"2026-11-28T12:00:{at}Z", **more))

    assert said("user", "Fix\n\n  the build", "01")
    assert said("assistant", "Done.\n" + "x" * 1000, "05")
    assert not said("assistant", "an agent's", "06", sidechain=True)
    assert not said("tool_result", "output", "07")
    assert not said("assistant", " ", "08")
    assert not said("user", "late", "03"), "an older line that comes late"
    assert record.last_words is not None
    assert record.last_words["role"] == "assistant"
    assert record.last_words["text"] == ("Done. " + "x" * 194)
