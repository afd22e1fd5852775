"""The configuration: documented in full, typed, strict, overridden by the environment."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from shared.config import ENVIRONMENT, Config, load, validate
from shared.errors import InvalidRequest
from supervisor.daemon import overlay_demo

DEFAULT = Path(__file__).resolve().parents[3] / "config" / "default.yaml"


def test_the_documented_defaults_are_the_defaults():
    assert msgspec.yaml.decode(DEFAULT.read_bytes()) == msgspec.to_builtins(Config())


def test_every_environment_variable_is_documented():
    text = DEFAULT.read_text()
    assert [name for name in ENVIRONMENT if not re.search(rf"\b{name}\b", text)] == []


def test_a_missing_or_empty_file_means_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load(tmp_path / "missing.yaml", {}) == load(tmp_path / "empty.yaml", {}) == load(None, {}) == Config()


def test_a_file_changes_what_it_names(tmp_path):
    (tmp_path / "c.yaml").write_text("sessions: {max_concurrent: 3, timeout_hours: 0.01, warning_hours: 0.005}\n")
    sessions = load(tmp_path / "c.yaml", {}).sessions
    assert (sessions.max_concurrent, sessions.timeout_hours, sessions.columns) == (3, 0.01, 120)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MAX_CONCURRENT_SESSIONS", "3", 3),
        ("SESSION_TIMEOUT_HOURS", "30.5", 30.5),
        ("SESSION_WARNING_HOURS", "0.01", 0.01),
        ("MAX_MEMORY_PER_SESSION_MB", "256", 256),
        ("MAX_TOTAL_MEMORY_GB", "1.5", 1.5),
        ("CPU_USAGE_LIMIT_PERCENT", "50", 50),
        ("PILOTLIGHT_PORT", "0", 0),
    ],
)
def test_the_environment_wins_over_the_file(tmp_path, name, text, value):
    section, key = ENVIRONMENT[name]
    (tmp_path / "c.yaml").write_text(f"{section}: {{{key}: 77}}\n")
    assert getattr(getattr(load(tmp_path / "c.yaml", {name: text}), section), key) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("api: {port: many}", "$.api.port"),
        ("api: {port: 70000}", "$.api.port"),
        ("api: {prot: 1}", "prot"),
        ("limits: {memory_per_session_mb: 1}", "$.limits.memory_per_session_mb"),
        ("nonsense: {}", "nonsense"),
        ("sessions: {timeout_hours: 5, warning_hours: 5}", "must be below"),
        ("- a list", "mapping"),
        ("api: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path, text, told):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        load(file, {})
    assert told in caught.value.message
    assert str(file) in caught.value.message
    assert caught.value.error_code == "invalid_config"


def test_every_number_has_bounds():
    for section in msgspec.inspect.type_info(Config).fields:
        for field in section.type.fields:
            if isinstance(field.type, msgspec.inspect.IntType | msgspec.inspect.FloatType):
                kind = field.type
                assert (kind.ge, kind.gt) != (None, None), f"{section.name}.{field.name} has no lower bound"
                assert (kind.le, kind.lt) != (None, None), f"{section.name}.{field.name} has no upper bound"


@pytest.mark.parametrize("text", ["events: {keep_days: .nan}", "events: {keep_days: .inf}", "log: {max_mb: 0.0000001}"])
def test_what_is_no_sensible_number_is_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidRequest, match=r"c\.yaml: Expected `float` [<>]="):
        load(tmp_path / "c.yaml", {})


def test_a_variable_that_is_no_number_is_named():
    with pytest.raises(InvalidRequest, match="PILOTLIGHT_PORT must be a number"):
        load(None, {"PILOTLIGHT_PORT": "many"})


def test_a_plain_tree_is_checked_the_same_way():
    with pytest.raises(InvalidRequest, match=r"settings: .*\$\.sessions\.max_concurrent"):
        validate({"sessions": {"max_concurrent": 0}}, "settings")


def test_the_demo_is_what_the_command_says_below_what_the_file_says():
    config = validate({"claude": {"env": {"LANG": "de_DE.UTF-8"}}}, "a test")
    given = {"PILOTLIGHT_DEMO": '{"LANG": "C", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}'}
    wanted = {"LANG": "de_DE.UTF-8", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}
    assert overlay_demo(config, given).claude.env == wanted
    assert overlay_demo(config, {}) is config


@pytest.mark.parametrize(
    "given", [{"PILOTLIGHT_DEMO": "yes"}, {"PILOTLIGHT_DEMO": "[1]"}, {"PILOTLIGHT_DEMO_URL": "http://x"}]
)
def test_a_demo_that_is_not_understood_never_becomes_the_real_service(given):
    with pytest.raises(InvalidRequest):
        overlay_demo(Config(), given)
