"""A line belongs to the turn that its chain of parents leads to, wherever the CLI has written it."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.claude.transcript import TranscriptLine
from supervisor.turn.turn import StopReport
from supervisor.turn.turn_assembler import REMEMBERED_TURNS, TurnAssembler

FIRST = [
    TranscriptLine("prompt", prompt_id="p1", text="one?", uuid="a1"),
    TranscriptLine("other", uuid="a2", parent="a1"),
    TranscriptLine("assistant", text="one", message_id="m1", uuid="a3", parent="a2", usage={"output_tokens": 1}),
    TranscriptLine("other", uuid="a4", parent="a3"),
    TranscriptLine("turn_end", uuid="a5", parent="a4"),
]
SECOND = [
    TranscriptLine("prompt", prompt_id="p2", text="two?", uuid="b1", parent="a5"),
    TranscriptLine("assistant", message_id="m2", tool_uses=[{"id": "t"}], uuid="b2", parent="b1"),
    TranscriptLine("tool_result", prompt_id="p2", tool_results=[{"tool_use_id": "t"}], uuid="b3", parent="b2"),
    TranscriptLine("assistant", text="two", message_id="m3", uuid="b4", parent="b3", usage={"output_tokens": 2}),
    TranscriptLine("turn_end", uuid="b5", parent="b4"),
]


def told(book: TurnAssembler) -> list[tuple[str | None, bool, int, dict[str, int] | None]]:
    turns = [book.get("p1"), book.get("p2")]
    return [(t.reply, t.ended, len(t.tools), t.total_usage) for t in turns if t is not None]


WHOLE = [("one", True, 0, {"output_tokens": 1}), ("two", True, 1, {"output_tokens": 2})]


@given(st.permutations([*FIRST, *SECOND]))
def test_every_line_finds_its_turn_in_whatever_order_they_are_written(lines: list[TranscriptLine]) -> None:
    book = TurnAssembler()
    placed = [line for line in lines for _, line in book.take(line)]
    assert told(book) == WHOLE
    assert sorted(line.uuid or "" for line in placed) == sorted(line.uuid or "" for line in lines)


def test_the_end_of_a_turn_behind_the_next_prompt_is_not_the_end_of_the_next() -> None:
    book = TurnAssembler()
    for line in [*FIRST[:2], SECOND[0], *FIRST[2:]]:
        book.take(line)
    second = book.get("p2")
    assert second is not None
    assert (second.reply, second.ended) == (None, False)


def test_a_late_line_of_a_turn_that_was_read_before_is_nobodys() -> None:
    book = TurnAssembler()
    for line in [SECOND[0], *FIRST[3:]]:
        book.take(line)
    second = book.get("p2")
    assert second is not None
    assert not second.ended


def test_the_first_line_behind_a_compaction_belongs_to_the_turn_that_runs() -> None:
    book = TurnAssembler()
    book.take(FIRST[0])
    assert book.take(TranscriptLine("assistant", text="on", uuid="c1"))
    assert [turn.reply for turn, _ in book.take(TranscriptLine("turn_end", uuid="c2", parent="c1"))] == ["on"]


@pytest.mark.parametrize(("said", "reply"), [("lost and found", "lost and found"), ("something else", None)])
def test_lines_whose_chain_is_broken_are_given_only_to_the_turn_whose_hook_has_told_their_words(
    said: str, reply: str | None
) -> None:
    book = TurnAssembler()
    book.take(FIRST[0])
    book.take(TranscriptLine("assistant", text="lost and found", uuid="d1", parent="never seen"))
    turn = book.get("p1")
    assert turn is not None
    assert turn.reply is None
    book.claim_unplaced(turn, StopReport(said, None, 1.0))
    assert turn.reply == reply


def test_only_the_last_turns_are_remembered() -> None:
    book = TurnAssembler()
    for number in range(REMEMBERED_TURNS + 3):
        book.take(TranscriptLine("prompt", prompt_id=f"q{number}", text="?", uuid=f"e{number}"))
    assert book.get("q2") is None
    assert book.get("q3") is not None


def test_a_turn_that_is_forgotten_is_gone_with_all_that_it_held() -> None:
    book = TurnAssembler()
    for line in FIRST:
        book.take(line)
    first = weakref.ref(book.get("p1"))
    for number in range(REMEMBERED_TURNS):
        book.take(TranscriptLine("prompt", prompt_id=f"n{number}", text="?", uuid=f"u{number}", parent="a5"))
    gc.collect()
    assert first() is None
    assert book.take(TranscriptLine("turn_end", uuid="late", parent="a4")) == []
