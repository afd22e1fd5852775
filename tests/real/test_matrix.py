"""A few houses of the matrix of a person's set-ups, those that no other test lives in; and that the matrix has them all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import VERSIONS, House, claude_binary
from tests.matrix import live
from tests.set_ups import SET_UPS, SetUp

NAMED = (
    "Stop hook that blocks",
    "UserPromptSubmit hook that blocks",
    "hooks disabled",
    "vim mode",
    "EDITOR and PATH in settings",
    "keybindings",
    "status line",
    "output style",
    "an MCP server",
    "a plugin",
    "worktree",
    "background agents",
    "crons",
    "auto mode",
    "plan mode",
    "CLAUDE_CONFIG_DIR",
    "a project of 227 characters",
    "a 300 MB transcript",
)
LIVED = {("vim mode", "a plugin"): 0, ("output style", "a project of 227 characters"): -1}
"""Where no other test lives, two that do not touch each other in one house; and which of the releases it is lived in on."""


def both(names: tuple[str, str]) -> SetUp:
    """The set-up of a person who has the one and the other."""
    first, second = (set_up for set_up in SET_UPS if set_up.name in names)

    def furnish(house: House) -> dict[str, Any]:
        return {**(first.furnish(house) or {}), **(second.furnish(house) or {})}

    def opening(house: House, session: str) -> None:
        first.opening(house, session)
        second.opening(house, session)

    made = SetUp(" and ".join(names), furnish, opening)
    for one in (first, second):
        assert one == SetUp(one.name, one.furnish, one.opening), "what else is special of it is not asked here"
    return made


def test_the_matrix_has_every_set_up() -> None:
    names = [set_up.name for set_up in SET_UPS]
    assert set(NAMED) <= set(names)
    assert len(set(names)) == len(names)
    assert {name for pair in LIVED for name in pair} <= set(NAMED)


@pytest.mark.parametrize("names", LIVED, ids=" and ".join)
def test_a_day_in_a_persons_set_up(names: tuple[str, str]) -> None:
    release = VERSIONS[LIVED[names]]
    cell = live(release, claude_binary(release), both(names))
    assert cell.failed is None, f"{cell.failed}: {cell.why}"
