"""Our own process, and what is below it, is never taken for somebody else's `claude` on the same conversation."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from shared import process
from shared.errors import StartFailed
from supervisor.lifecycle import conversation_conflict
from tests.harness import until


def test_what_a_script_has_started_is_ours_and_anybody_else_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 100 & wait"])
    try:
        known = process.identify(child.pid)
        assert known is not None
        (below,) = until(lambda: process.descendants(known), "the script has started it")
        record = SimpleNamespace(child=[known.pid, known.start_time], conversation_id="c")
        session: Any = SimpleNamespace(live=True, record=record, services=SimpleNamespace(claude_home=None))
        owners = [child.pid, below.pid]
        monkeypatch.setattr(conversation_conflict.status_file, "owners", lambda *_: owners)
        conversation_conflict.refuse_beside(session)
        owners.append(1)
        with pytest.raises(StartFailed, match="pid 1"):
            conversation_conflict.refuse_beside(session)
    finally:
        for member in [*process.descendants(known), known]:
            process.send_signal(member, 9)
        child.wait()
