"""What of a tool call an event carries: within its bounds whatever comes, whole when it is small, honest when it is not."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.turn.truncation import STRING_BYTES, WHOLE_BYTES, excerpt

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(max_size=50), inner, max_size=40),
    max_leaves=60,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_a_small_call_is_whole() -> None:
    call = {"tool": "Bash", "input": {"command": "ls -l", "list": [1, 2.5, None, {"deep": [True]}]}}
    assert excerpt(call) == call


def test_a_file_that_is_written_is_told_by_its_beginning() -> None:
    call = {"tool": "Write", "input": {"file_path": "/a", "content": "é" * 1_000_000}}

    shown = excerpt(call)

    assert shown["truncated"] is True
    assert shown["tool"] == "Write"
    assert shown["input"] == {"file_path": "/a", "content": "é" * (STRING_BYTES // 2)}


def test_of_many_parts_the_first_are_told_in_their_order() -> None:
    edits = [{"old": f"{number} " + "x" * 1000, "new": "y"} for number in range(100)]

    shown = excerpt({"phase": "started", "input": {"edits": edits}})

    told = shown["input"]["edits"]
    assert 5 < len(told) < 10
    assert told[:-1] == edits[: len(told) - 1]
    assert told[-1].items() <= edits[len(told) - 1].items()
    assert shown["truncated"]


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=3000), ANY, max_size=20))
def test_whatever_comes_it_stays_within_its_bounds(call: dict[str, Any]) -> None:
    shown = excerpt(call)

    assert len(msgspec.json.encode(shown)) <= WHOLE_BYTES + len('"truncated":true,')
    assert all(len(text.encode()) <= STRING_BYTES for text in strings(shown))
    assert shown == call or shown["truncated"]


def test_what_is_nested_without_end_is_cut() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]

    assert excerpt({"input": deep})["truncated"]
