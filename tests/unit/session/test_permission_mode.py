"""Which permission mode a session has, whoever has changed it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.session.permission_mode import follow, started_with
from supervisor.store.options import KINDS, SETTINGS_CHANGED, flat, of_flat

MODE_NOW, PLANNED, STALE, CHANGED = "mode_now", "planned", "stale", "changed"

PLAN = {"permission_mode": "plan", MODE_NOW: "plan"}


@pytest.mark.parametrize(
    ("options", "heard", "becomes"),
    [
        (PLAN, "default", {"permission_mode": "default", MODE_NOW: "default"}),
        (PLAN, "plan", PLAN),
        (PLAN, None, PLAN),
        ({MODE_NOW: "default"}, "acceptEdits", {"permission_mode": "acceptEdits", MODE_NOW: "acceptEdits"}),
        ({MODE_NOW: "plan"}, "default", {MODE_NOW: "default"}),
        ({MODE_NOW: None}, "auto", {MODE_NOW: "auto"}),  # the owner's own arguments say it
        (
            {"permission_mode": "auto", MODE_NOW: "plan", STALE: SETTINGS_CHANGED},
            "default",
            {"permission_mode": "auto", MODE_NOW: "default", STALE: SETTINGS_CHANGED},
        ),
        (
            {"permission_mode": "acceptEdits", MODE_NOW: "acceptEdits", STALE: SETTINGS_CHANGED, CHANGED: ("effort",)},
            "default",
            {"permission_mode": "default", MODE_NOW: "default", STALE: SETTINGS_CHANGED, CHANGED: ("effort",)},
        ),
        (
            {"permission_mode": "auto", MODE_NOW: "plan", STALE: SETTINGS_CHANGED, CHANGED: ("permission_mode",)},
            "default",
            {"permission_mode": "auto", MODE_NOW: "default", STALE: SETTINGS_CHANGED, CHANGED: ("permission_mode",)},
        ),
        ({**PLAN, PLANNED: {"before": None}}, "default", {"permission_mode": "default", MODE_NOW: "default"}),
        (
            {**PLAN, PLANNED: {"before": "auto"}},
            "default",
            {"permission_mode": "default", MODE_NOW: "default", PLANNED: {"before": "auto"}},
        ),
    ],
)
def test_follow(options: dict[str, Any], heard: Any, becomes: dict[str, Any]) -> None:
    told: list[Any] = []
    store: Any = SimpleNamespace(append=lambda *event: told.append(event))
    record: Any = SimpleNamespace(id="s", **of_flat(options))
    follow(record, store, heard)
    assert flat([getattr(record, name) for name in KINDS], record.unknown_options) == becomes
    changed = becomes.get("permission_mode") != options.get("permission_mode")
    assert [event[0].kind for event in told] == (["updated"] if changed else [])


def test_a_process_begins_in_the_mode_of_its_command_line() -> None:
    assert started_with("plan", []) == "plan"
    assert started_with(None, []) == "default"
    assert started_with(None, ["--permission-mode", "auto"]) is None
    assert started_with(None, ["--permission-mode=auto"]) is None
