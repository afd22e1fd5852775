"""Which conversation is followed, and where its file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.lifecycle.launch import forked_from
from supervisor.observation.transcript_file import Known, begins_another, moved_to
from supervisor.session import receipts
from supervisor.store.store import Store
from supervisor.turn.turn import Outcome
from tests.unit.observation.claude_lab import Claude


@pytest.mark.parametrize(
    ("source", "conversation", "status", "followed"),
    [
        ("clear", "new", "own", True),  # the status file lags
        ("resume", "new", "new", True),
        ("resume", "new", None, True),
        ("resume", "new", "own", False),  # not our process
        ("startup", "new", "own", False),  # an agent that Claude has started beside us
        ("startup", "new", None, False),
        ("resume", "own", "own", False),
        ("resume", "origin", "own", False),  # a fork reports the conversation that it comes from
    ],
)
def test_only_what_our_own_process_begins_is_followed(
    source: str, conversation: str, status: str | None, followed: bool
) -> None:
    assert begins_another(Known("own", "origin", None), source, conversation, status) is followed


def test_a_file_is_where_the_last_hook_says_unless_it_still_is_where_we_know_it(tmp_path: Path) -> None:
    here, there = tmp_path / "here" / "own.jsonl", tmp_path / "there" / "own.jsonl"
    known = Known("own", None, str(here))
    assert moved_to(Known("own", None, None), "own", str(there)) == str(there)
    here.parent.mkdir()
    here.touch()
    assert moved_to(known, "own", str(there)) is None
    there.parent.mkdir()
    here.rename(there)
    assert moved_to(known, "own", str(there)) == str(there)
    assert moved_to(known, "other", str(there)) is None
    assert moved_to(known, "own", str(tmp_path / "agent.jsonl")) is None
    assert moved_to(known, "own", None) is None


def test_in_a_conversation_that_clear_has_begun_nothing_was_said_and_it_is_no_fork(tmp_path: Path) -> None:
    """The next process begins it anew: it neither misses a transcript nor goes on with what was cleared."""
    store = Store(tmp_path / "pilotlight.db")
    claude = Claude(tmp_path, store)
    record = claude.session.record
    record.heard, record.fork_from = ["p"], "origin"
    assert forked_from(record) == "origin"
    message = claude.begin("m", "/clear", kind="command")
    claude.hook("SessionStart", source="clear", session_id="d", transcript_path=str(tmp_path / "d.jsonl"))
    claude.read()
    receipts.conclude(claude.session, message, Outcome("answered", ""))
    store.close()
    assert (record.conversation_id, record.remembered.begun_behind, record.remembered.spoken) == ("d", "p", None)
    assert forked_from(record) is None
