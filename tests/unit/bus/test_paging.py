"""Pages: every row once, in order, whatever comes and goes between two of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from supervisor.bus.operations.paging import cursor, page, place_of

PLACES = st.lists(st.tuples(st.integers(-(10**15), 10**15), st.sampled_from("abcdef")), unique=True, max_size=30)


@given(PLACES, st.integers(1, 7))
def test_the_pages_are_the_list(rows: list[tuple[int, str]], limit: int) -> None:
    found: list[tuple[int, str]] = []
    after = None
    while True:
        told, after = page(rows, lambda row: row, after, limit)
        assert len(told) <= limit
        found += told
        if after is None:
            break
    assert found == sorted(rows)


def test_what_comes_and_goes_meanwhile_moves_nothing() -> None:
    rows = [(number, "a") for number in range(6)]
    first, after = page(rows, lambda row: row, None, 3)
    second, end = page([*rows[4:], (-1, "new"), (5, "new")], lambda row: row, after, 3)
    assert (first, second, end) == ([(0, "a"), (1, "a"), (2, "a")], [(4, "a"), (5, "a"), (5, "new")], None)


def test_without_a_limit_it_is_all_of_them() -> None:
    assert page([(2, ""), (1, "")], lambda row: row, None, None) == ([(1, ""), (2, "")], None)


def test_a_cursor_is_the_place_and_anything_else_is_refused() -> None:
    for place in ((-20261123, "2026-11-23"), (1795429790991, "123e4567-e89b-42d3-a456-426614174000"), (100, "")):
        assert place_of(cursor(place)) == place
    for wrong in ("", "7", "a.b", "1.a b", "1" * 20 + "."):
        with pytest.raises(InvalidRequest) as refused:
            place_of(wrong)
        assert refused.value.error_code == "invalid_cursor"
    for limit in (0, 1001):
        with pytest.raises(InvalidRequest):
            page([], lambda row: row, None, limit)
