"""Where a new session goes, and why."""

from __future__ import annotations

import pytest

from api.gateway.placement import Choice, Room, choose
from shared.errors import Busy


def test_one_that_has_the_project_before_one_with_more_room() -> None:
    assert choose([Room("a", 9, 10), Room("b", 1, 10, has_project=True)]).node == "b"


def test_the_most_free_share_of_those_that_have_none() -> None:
    choice = choose([Room("a", 5, 10), Room("b", 4, 5), Room("c", 8, 100)])
    assert choice == Choice("b", "no node has the project, and most room (4 of 5 places are free)")


def test_a_full_or_draining_node_is_not_chosen_even_if_it_has_the_project() -> None:
    full = Room("a", 0, 10, has_project=True)
    assert choose([full, Room("c", 1, 10)]).node == "c"
    with pytest.raises(Busy, match="a is full or drained"):
        choose([full])


def test_nobody_answers() -> None:
    with pytest.raises(Busy, match="none answers"):
        choose([])
