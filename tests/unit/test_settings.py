"""Settings at run time: checked as a whole, kept, taken back, and never a reason not to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.config import Config
from shared.errors import InvalidRequest
from supervisor.settings import Settings
from supervisor.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "pilotlight.db")
    yield made
    made.close()


def test_one_wrong_value_changes_nothing(store: Store) -> None:
    settings = Settings(Config(), store)
    with pytest.raises(InvalidRequest):
        settings.patch({"sessions.max_concurrent": 3, "limits.cpu_percent": -1}, "test")
    assert settings.config == Config()
    assert Settings(Config(), store).config == Config()
    assert store.head() == 0


@pytest.mark.parametrize("name", ["notify.command", "claude.command", "api.host", "sessions.", "nonsense", "log.level"])
def test_what_decides_who_may_do_what_is_not_changed_at_run_time(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequest):
        Settings(Config(), store).patch({name: "x"}, "test")


def test_changes_are_kept_published_and_taken_back(store: Store) -> None:
    settings = Settings(Config(), store)
    told: list[int] = []
    settings.listeners.append(lambda: told.append(settings.config.sessions.max_concurrent))
    settings.patch({"sessions.max_concurrent": 3}, "test")
    assert told == [3]
    assert Settings(Config(), store).config.sessions.max_concurrent == 3
    assert settings.patch({"sessions.max_concurrent": None}, "test")["changed"] == []
    assert [event.data["by"] for event in store.events(0, 10, None, None)] == ["test", "test"]


@pytest.mark.parametrize("stored", ["{", "[]", '{"no.such": 1}', '{"sessions.max_concurrent": 0}', '{"nodot": 1}'])
def test_stored_settings_that_cannot_be_used_are_said_once_and_done_without(store: Store, stored: str) -> None:
    store.set_meta("settings", stored)
    settings = Settings(Config(), store)
    assert settings.config == Config()
    settings.confess()
    settings.confess()
    assert [event.data["what"] for event in store.events(0, 10, None, None)] == ["settings"]
