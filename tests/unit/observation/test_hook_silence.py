"""A session whose hooks are off says it once, and its next process has the owner's rules that refuse."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared import paths
from shared.config import Config, PermissionRule, PermissionsConfig
from shared.errors import StorageFailed
from supervisor.observation import hook_silence
from supervisor.session.session import Services, Session
from supervisor.store.store import SessionRecord, Store

RULE = PermissionRule(tool="Bash", pattern="touch*", answer="deny")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    store = Store(tmp_path / "pilotlight.db")
    config = Config(permissions=PermissionsConfig(rules=[RULE]))
    places = paths.resolve({"PILOTLIGHT_HOME": str(tmp_path)})
    services = Services(store, places, lambda: config, {}, tmp_path, logging.getLogger("test"))
    record = SessionRecord("s", str(tmp_path), 0, 0, "idle", "c", 1)
    store.save_session(record)
    found = Session(record, services)
    found.logs = SimpleNamespace()  # type: ignore[assignment]
    yield found
    store.close()


def test_a_session_whose_hooks_are_off_says_it_once_and_gets_a_process_with_the_rules(session: Session) -> None:
    assert hook_silence.refusals(session) == []
    for _ in range(2):
        hook_silence.begin(session)
        session.health.clear()  # as a new process does
    assert [event.kind for event in session.store.events(0, 10, None, None)] == ["hooks_off"]
    assert session.record.process.stale == "hooks_off"
    assert hook_silence.refusals(session) == ["Bash(touch*)"]
    hook_silence.end(session)
    assert hook_silence.refusals(session) == []


def test_what_the_database_refuses_is_said_once_it_takes_words_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageFailed("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr(session.store, "append", refuse)
        with pytest.raises(StorageFailed):
            hook_silence.begin(session)
    assert hook_silence.NO_HOOKS not in session.health  # or it would not be looked at again
    hook_silence.begin(session)
    assert session.health.worst == hook_silence.NO_HOOKS
    assert session.record.process.stale == "hooks_off"
