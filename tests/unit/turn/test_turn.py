"""When is a message's fate settled? Only by what the logs say, and each log alone only after its grace time."""

from __future__ import annotations

import pytest

from supervisor.claude.transcript import TranscriptLine
from supervisor.turn.turn import (
    AGREE_SECONDS,
    HOOK_GRACE_SECONDS,
    IDLE_SECONDS,
    QUIET_SECONDS,
    Outcome,
    StopReport,
    Turn,
    cut_off,
    settle,
)

SAID = TranscriptLine("assistant", text="the reply", message_id="m1", stop_reason="end_turn")
PART = TranscriptLine("assistant", text="let me see", message_id="m0", stop_reason="tool_use", tool_uses=[{"id": "t"}])
LONG = TranscriptLine("assistant", text="first, the end\n", message_id="m1", stop_reason="end_turn")
RESULT = TranscriptLine("tool_result", tool_results=[{"tool_use_id": "t", "is_error": True}])
REFUSED = TranscriptLine("assistant", text="API Error", message_id="m2", api_error="rate_limit")
CUT = TranscriptLine("interrupted", text="[Request interrupted by user]")
GO_ON = TranscriptLine("feedback", text="Stop hook feedback:\nrun the tests")
MORE = TranscriptLine("assistant", text="and more", message_id="m3", stop_reason="end_turn")
END = TranscriptLine("turn_end")
STOP = StopReport("the reply", None, 0.0)
ANSWERED = Outcome("answered", reply="the reply")


def turn(*lines: TranscriptLine) -> Turn:
    made = Turn("p1", "the question")
    for line in lines:
        made.add(line)
    return made


@pytest.mark.parametrize(
    ("seen", "stop", "ended_for", "quiet_for", "outcome"),
    [
        (turn(SAID), STOP, 0.0, 0.0, None),
        (turn(SAID), STOP, 0.0, IDLE_SECONDS, ANSWERED),
        (turn(SAID, GO_ON), STOP, 0.0, IDLE_SECONDS, None),
        (turn(SAID, GO_ON, MORE), STOP, 0.0, IDLE_SECONDS, None),
        (turn(SAID, GO_ON, MORE), StopReport("and more", None, 0.0), 0.0, 0.0, None),
        (turn(SAID, GO_ON, MORE, END), StopReport("and more", None, 0.0), 0.0, 0.0, Outcome("answered", "and more")),
        (turn(SAID, CUT), STOP, 0.0, 0.1, Outcome("interrupted", reply="the reply")),
        (turn(SAID, END), STOP, 0.0, 0.0, ANSWERED),
        (turn(PART), STOP, 0.0, 0.0, None),
        (turn(PART, END), STOP, 0.0, 0.0, None),
        (turn(PART, END), StopReport("", None, 0.0), 0.0, 0.0, Outcome("answered", reply="let me see")),
        (turn(LONG, END), StopReport("the end", None, 0.0), 0.0, 0.0, Outcome("answered", reply="first, the end\n")),
        (None, STOP, 0.0, 0.0, None),
        (None, StopReport("the reply", None, AGREE_SECONDS), 0.0, 0.0, None),
        (None, StopReport("the reply", None, AGREE_SECONDS), 0.0, IDLE_SECONDS, ANSWERED),
        (turn(PART), StopReport("the reply", None, AGREE_SECONDS), 0.0, IDLE_SECONDS, ANSWERED),
        (turn(SAID, END), None, 0.1, 0.0, None),
        (turn(SAID, END), None, HOOK_GRACE_SECONDS, 0.0, ANSWERED),
        (turn(SAID), None, 0.0, QUIET_SECONDS - 0.1, None),
        (turn(SAID), None, 0.0, QUIET_SECONDS, ANSWERED),
        (turn(PART), None, 0.0, QUIET_SECONDS, Outcome("interrupted", reply="let me see")),
        (None, None, 0.0, 1e9, Outcome("interrupted", detail="withdrawn")),
        (None, None, 0.0, 0.0, None),
        (turn(PART, CUT), None, 0.0, 0.1, Outcome("interrupted", reply="let me see")),
        (turn(REFUSED, END), None, 0.0, 0.0, Outcome("failed", error="rate_limit", detail="API Error")),
        (turn(REFUSED), None, 0.0, 0.0, None),
        (turn(REFUSED), StopReport("no", "rate_limit", 0.0), 0.0, 0.0, Outcome("failed", None, "rate_limit", "no")),
    ],
)
def test_settle(
    seen: Turn | None, stop: StopReport | None, ended_for: float, quiet_for: float, outcome: Outcome | None
) -> None:
    assert settle(seen, stop, ended_for=ended_for, quiet_for=quiet_for) == outcome


@pytest.mark.parametrize(
    ("seen", "stop", "outcome"),
    [
        (None, None, "interrupted"),
        (turn(PART), None, "interrupted"),
        (turn(PART, RESULT), None, "interrupted"),
        (turn(SAID), None, "answered"),
        (turn(SAID, END), None, "answered"),
        (None, STOP, "answered"),
        (turn(SAID, GO_ON), STOP, "interrupted"),
        (turn(SAID, GO_ON, PART), STOP, "interrupted"),
        (turn(SAID, GO_ON, MORE), StopReport("and more", None, 0.0), "answered"),
        (turn(PART), StopReport("no", "server_error", 0.0), "failed"),
        (turn(REFUSED), None, "failed"),
        (turn(PART, CUT), None, "interrupted"),
    ],
)
def test_a_process_that_is_gone_settles_every_message_at_once(
    seen: Turn | None, stop: StopReport | None, outcome: str
) -> None:
    assert cut_off(seen, stop).state == outcome


def test_reply_is_the_last_message_with_all_its_blocks() -> None:
    more = TranscriptLine("assistant", text=", and more", message_id="m1")
    assert turn(PART, RESULT, SAID, more).reply == "the reply, and more"


def test_tools_and_tokens_are_counted_once_and_side_chains_not() -> None:
    tokens = {"input_tokens": 3, "output_tokens": 4}
    block = TranscriptLine("assistant", text="a", message_id="m1", usage=tokens)
    side = TranscriptLine("assistant", text="aside", message_id="m9", usage=tokens, sidechain=True)
    seen = turn(PART, RESULT, block, block, side)
    assert seen.total_usage == tokens
    assert [tool["isError"] for tool in seen.tools] == [True]
    assert seen.reply == "aa"
