"""What follows from the end of a process: over every combination, no start that never worked loops, and no death is final
before the limit."""

from __future__ import annotations

from itertools import product

import pytest

from supervisor.lifecycle.restart_policy import LONGEST_PAUSE_SECONDS, Exit, Life, judge, judge_start, pause

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


def test_pauses_grow_to_a_minute_with_some_jitter() -> None:
    steady = [pause(deaths, 1.0, dice=lambda: 0.0) for deaths in range(1, 10)]
    assert steady == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
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
