"""What counts as asked: the request that a hook has told, or the dialog on the screen when no hook explains it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from supervisor.claude.dialogs import Menu, Sight
from supervisor.observer import HOOK_LAG_SECONDS, Observer
from supervisor.session import Session
from supervisor.waits import DENY, Permission


def test_each_dialog_of_a_turn_is_given_time_for_its_hook() -> None:
    record = SimpleNamespace(turn_prompt="p", generation=1, ready_once=True, asked=None, options={})
    session = SimpleNamespace(
        permission=None, record=record, session_started=True, status=None, filled=None, waiting=None
    )
    observer = Observer(cast("Session", session))
    sight = Sight("menu", menu=Menu("Go on?", "Go on?", [DENY], 0, "permission", True))
    assert observer._asked(sight, 100.0) is None
    session.permission = Permission.from_hook(Path("nowhere"), {"tool_name": "Bash"})
    asked = observer._asked(sight, 101.0)
    assert asked is not None
    assert asked.id == session.permission.id
    session.permission = None  # answered, and the next dialog is up already
    assert observer._asked(sight, 110.0) is None
    assert observer._asked(sight, 110.0 + HOOK_LAG_SECONDS) is not None
