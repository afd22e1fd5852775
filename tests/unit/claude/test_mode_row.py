"""The row below the prompt box says the permission mode, on both releases."""

from __future__ import annotations

import pytest

from supervisor.claude.mode_row import mode


@pytest.mark.parametrize(
    ("footer", "said"),
    [
        ("  ⏸ manual mode on · ? for shortcuts · ← for agents", "default"),
        ("  ⏸ plan mode on (shift+tab to cycle) · esc to interrupt", "plan"),
        ("  ⏵⏵ accept edits on (shift+tab to cycle)", "acceptEdits"),
        ("  ⏵⏵ auto mode on (shift+tab to cycle)", "auto"),
        ("  ⏵⏵ bypass permissions on (shift+tab to cycle)", "bypassPermissions"),
        ("  ? for shortcuts                                 ● high · /effort", "default"),
        ("  esc to interrupt", None),
        ("  my status line: plan mode on", None),
        ("", None),
    ],
)
def test_mode(footer: str, said: str | None) -> None:
    assert mode(footer) == said
