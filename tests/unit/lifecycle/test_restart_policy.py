"""What follows from the end of a process: over every combination, no start that never worked loops, and no death is final
before the limit."""

from __future__ import annotations

from itertools import product

import pytest

from supervisor.claude.last_words import for_good, last_words
from supervisor.lifecycle.restart_policy import (
    LONGEST_RESTART_SECONDS,
    Exit,
    Life,
    judge,
    judge_start,
    pause,
    why_no_more,
)

EXITS = [Exit(), Exit(status=0), Exit(status=7), Exit(signal=9)]


@pytest.mark.parametrize(
    ("end", "ready", "worked", "deaths", "goodbye"),
    list(product(EXITS, (True, False), (True, False), (0, 1, 5, 9), (None, "other", "prompt_input_exit"))),
)
def test_verdicts(end: Exit, ready: bool, worked: bool, deaths: int, goodbye: str | None) -> None:
    verdict = judge(end, Life(ready, worked, deaths, goodbye), limit=6)
    if end.status == 0 and ready and goodbye == "prompt_input_exit":
        assert verdict == "exited"
    elif end != Exit() and not ready and not worked:
        assert verdict == "start_failed"
    else:
        assert verdict == ("give_up" if deaths >= 5 else "revive")


def test_what_cannot_work_is_not_tried_again_and_says_why() -> None:
    said = "No conversation found with session ID: 4f0c"
    end = Exit(status=1)
    assert for_good(said)
    assert judge(end, Life(False, True, 0, for_good=True), limit=9) == "give_up"
    assert judge(end, Life(True, True, 0, for_good=True), limit=9) == "revive"
    assert why_no_more(end, said, 1) == f"`claude` ended at once (exit status 1): {said}"
    assert why_no_more(end, "", 9) == "`claude` kept ending (exit status 1), 9 times in a row."


def test_last_words_are_one_bounded_line_and_no_conversation() -> None:
    rows = ["▐▛███▜▌  Claude Code", "> my secret prompt", "● a reply", "FATAL ERROR: heap\u202e out of memory"]
    assert last_words(rows, talked=True) == "FATAL ERROR: heap  out of memory"
    assert last_words(["Invalid\x1b[31m settings ", "", "  in ~/.claude"]) == "Invalid [31m settings in ~/.claude"
    assert len(last_words(["x" * 100] * 50)) == 600


def test_pauses_grow_to_a_minute_with_some_jitter() -> None:
    steady = [pause(deaths, 1.0, dice=lambda: 0.0) for deaths in range(1, 10)]
    assert steady == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_RESTART_SECONDS, LONGEST_RESTART_SECONDS]
    assert pause(2, 1.0, dice=lambda: 1.0) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("code", "worked", "verdict"),
    [
        ("holder_failed", False, "revive"),
        ("holder_timeout", True, "revive"),
        ("spawn_failed", False, "revive"),
        ("claude_not_found", True, "revive"),
        ("claude_not_found", False, "start_failed"),
        ("transcript_missing", True, "start_failed"),
        ("project_path_missing", True, "start_failed"),
    ],
)
def test_a_start_that_comes_to_nothing_is_tried_again_where_its_cause_may_pass(
    code: str, worked: bool, verdict: str
) -> None:
    assert judge_start(code, worked, 0, 6) == verdict
    assert judge_start(code, worked, 5, 6) == ("give_up" if verdict == "revive" else verdict)
