"""Which conversation is followed, and where its file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.observation.transcript_file import Known, begins_another, moved_to


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
