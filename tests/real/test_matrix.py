"""A few houses of the matrix of a person's set-ups, those that no other test lives in; and that the matrix has them all."""

from __future__ import annotations

import pytest

from tests.harness import VERSIONS, claude_binary
from tests.matrix import live
from tests.set_ups import SET_UPS

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
LIVED = {"vim mode": 0, "output style": -1, "a plugin": 0, "a project of 227 characters": -1}
"""Where no other test lives, and which of the releases it is lived in on."""


def test_the_matrix_has_every_set_up() -> None:
    names = [set_up.name for set_up in SET_UPS]
    assert set(NAMED) <= set(names)
    assert len(set(names)) == len(names)
    assert set(LIVED) <= set(NAMED)


@pytest.mark.parametrize("name", LIVED)
def test_a_day_in_a_persons_set_up(name: str) -> None:
    (set_up,) = (set_up for set_up in SET_UPS if set_up.name == name)
    release = VERSIONS[LIVED[name]]
    cell = live(release, claude_binary(release), set_up)
    assert cell.failed is None, f"{cell.failed}: {cell.why}"
