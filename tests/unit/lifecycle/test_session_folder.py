"""What a session says of its requests when its folder was removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.bus.messages import Waiting
from supervisor.lifecycle import session_folder
from supervisor.state.states import StateEvent
from supervisor.store.store import Store
from supervisor.waiting.waiting import Permission
from tests.unit.observation.test_late_news import Claude


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "x.db")
    yield Claude(tmp_path, store)
    store.close()


def test_only_a_request_that_went_with_the_folder_is_told_as_lost_with_it(claude: Claude) -> None:
    session = claude.session
    spool = session.dir / "spool" / "gone"
    lost = Permission.from_hook(spool, {"tool_name": "Bash", "tool_input": {"command": "ls"}})
    session.permissions.add(lost)
    session.record.child = [1, 1]  # type: ignore[assignment]
    for asked in (lost.id, "p_later"):
        session.apply(
            StateEvent.ASKING, "evidence", Waiting(asked, "permission", "Claude asks to use Bash", "ls", [], 1)
        )
        session_folder.mend(session)
        session.apply(StateEvent.READY, "evidence")
    over = [event.data for event in claude.store.events(0, 100, None, ["expired"])]
    assert [(data["id"], data["cause"]) for data in over] == [(lost.id, "folder_lost"), ("p_later", "terminal")]
