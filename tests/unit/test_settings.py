"""Settings at run time: checked as a whole, kept, taken back, and never a reason not to start."""

from __future__ import annotations

import logging

import pytest

from shared.bus import session_events
from shared.bus.service_requests import AddRule
from shared.config import Config, validate
from shared.errors import Conflict, InvalidRequest, NotFound
from supervisor.settings import Settings
from supervisor.store.store import Store


def test_one_wrong_value_changes_nothing(store: Store) -> None:
    settings = Settings(Config(), store)
    with pytest.raises(InvalidRequest):
        settings.patch({"sessions.max_concurrent": 3, "limits.cpu_percent": -1}, "test")
    assert settings.config == Config()
    assert Settings(Config(), store).config == Config()
    assert store.head() == 0


FILE_ONLY = ["notify.command", "notify.channels", "notify.private_hosts", "claude.command", "api.host", "log.level"]


@pytest.mark.parametrize("name", [*FILE_ONLY, "sessions.", "nonsense"])
def test_what_decides_who_may_do_what_is_not_changed_at_run_time(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequest):
        Settings(Config(), store).patch({name: "x"}, "test")


def test_a_setting_of_the_file_does_not_send_one_back_to_its_own_section(store: Store) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Settings(Config(), store).patch({"notify.command": "x"}, "test")
    assert "in the configuration file only" in refused.value.message
    assert "Changeable" not in refused.value.message


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
    settings.report_unusable(logging.getLogger("settings"))
    settings.report_unusable(logging.getLogger("settings"))
    assert [event.data["what"] for event in store.events(0, 10, None, None)] == ["settings"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events.keep_days", 1e12),
        ("events.keep_days", -1),
        ("health.interval_seconds", 1e-9),
        ("health.interval_seconds", 1e300),
        ("sessions.timeout_hours", 1e300),
        ("sessions.recording_days", 1e300),
        ("limits.memory_total_gb", 10**400),
        ("health.restart_limit", 10**18),
    ],
)
def test_a_value_that_nothing_could_be_computed_with_is_refused_with_its_bound(
    store: Store, name: str, value: float
) -> None:
    with pytest.raises(InvalidRequest, match=rf"(>=|<=|out of range).*\$\.{name}"):
        Settings(Config(), store).patch({name: value}, "test")


@pytest.mark.parametrize(
    ("name", "value"),
    [("health.interval_seconds", 0.2), ("sessions.warning_hours", 0.0001), ("events.keep_days", 0.00001)],
)
def test_small_values_stay_possible(store: Store, name: str, value: float) -> None:
    assert Settings(Config(), store).patch({name: value}, "test")["settings"][name] == value


def test_of_stored_settings_only_what_is_beyond_its_bounds_is_ignored(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.set_meta("settings", '{"events.keep_days": 1e12, "sessions.warning_hours": 30, "sessions.timeout_hours": 48}')
    settings = Settings(Config(), store)
    settings.report_unusable(logging.getLogger("settings"))
    assert (settings.config.events.keep_days, settings.config.sessions.timeout_hours) == (14.0, 48.0)
    assert settings.view()["changed"] == ["sessions.timeout_hours", "sessions.warning_hours"]
    (record,) = caplog.records
    assert record.getMessage() == "settings_ignored"
    assert "events.keep_days is ignored" in record.fields["why"]  # type: ignore[attr-defined]
    settings.patch({"sessions.max_concurrent": 3}, "test")
    assert Settings(Config(), store).config == settings.config


def test_what_has_secrets_in_it_is_not_shown(store: Store) -> None:
    channel = {"name": "hook", "kind": "webhook", "url": "https://example.org/secret-path", "secret": "whsec_secret"}
    apns = {"key_file": "/secret", "key_id": "K", "team_id": "T", "topic": "t"}
    config = validate({"notify": {"channels": [channel], "apns": apns}}, "test")

    view = Settings(config, store).view()

    assert "secret" not in str(view)
    assert "notify.answered_seconds" in view["settings"]


async def test_rules_of_run_time_are_in_force_at_once_kept_and_taken_back(store: Store) -> None:
    base = validate({"permissions": {"rules": [{"tool": "Read", "answer": "allow"}]}}, "the test")
    settings = Settings(base, store)
    made = settings.add_rule(AddRule(tool="Bash", pattern="git status*", answer="allow"), "device:Ada’s phone")
    assert [rule.tool for rule in settings.config.permissions.rules] == ["Read", "Bash"]
    with pytest.raises(Conflict):
        settings.add_rule(AddRule(tool="Bash", pattern="git status*", answer="allow"), "x")
    with pytest.raises(InvalidRequest):
        settings.add_rule(AddRule(tool=" ", answer="deny"), "x")
    settings.patch({"sessions.timeout_hours": 48}, "x")
    told = session_events.Answered(
        id="w", for_="permission", by="policy", decision="allow", rule={"tool": "Bash", "pattern": "git status*"}
    )
    store.append(told, "s")

    again = Settings(base, store)
    assert [rule.pattern for rule in again.config.permissions.rules] == ["*", "git status*"]
    assert [(rule.id, rule.by, rule.used) for rule in await again.rules()] == [
        (None, None, 0), (made.id, "device:Ada’s phone", 1)
    ]  # fmt: skip
    assert again.view()["file"] == {"sessions.timeout_hours": 24.0}
    again.remove_rule(str(made.id), "x")
    with pytest.raises(NotFound):
        again.remove_rule(str(made.id), "x")
    assert again.config.permissions == base.permissions
    said = [event.data["values"].get("permissions.rules", {}) for event in store.events(0, 9, None, ["settings"])]
    assert [rule["what"] for rule in said if rule] == ["added", "removed"]
