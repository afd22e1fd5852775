"""The names that no session may touch; that Claude keeps to the rules is tests/real/test_protection.py."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from shared.config import ClaudeConfig
from shared.paths import Paths, resolve
from supervisor.claude import command_line
from supervisor.claude.settings import protection

OWN = str(uuid.UUID("8f18b2f1-c3d4-4b4e-9059-4ce12da03470"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve({"PILOTLIGHT_HOME": str(tmp_path / "pl")})


def test_secrets_are_known_by_name_and_what_a_session_needs_is_none(paths: Paths) -> None:
    home, sessions = paths.home, paths.sessions_dir
    for secret in (
        paths.token_file,
        home / ".token.0a1b",
        home / "tokens.json",
        home / "bus-key.json",
        home / "pilotlight.db-wal",
        home / "search.db",
        home / "incoming" / "x" / "a.txt",
        paths.config_file,
        sessions,
        sessions / str(uuid.uuid4()) / "attachments" / "m" / "a.txt",
        sessions / OWN / "spool" / "1.0",
        sessions / OWN / "settings.json",
        paths.temporary_dir("another") / "tasks" / "b.output",
    ):
        assert protection.is_secret(paths, OWN, secret), secret
    for harmless in (
        home,
        home / "workspace" / "tokens.md",
        sessions / OWN / "attachments" / "m" / "a.txt",
        paths.temporary_dir(OWN) / "tasks" / "b.output",
        home.parent / "token",
    ):
        assert not protection.is_secret(paths, OWN, harmless), harmless


def test_every_other_session_is_spelled_out_for_claude(paths: Paths) -> None:
    rules = protection.denied(paths, OWN)
    assert f"Read(/{paths.home}/token*)" in rules
    assert f"Read(/{paths.sessions_dir}/[012345679abcdef]*)" in rules
    assert f"Read(/{paths.sessions_dir}/8[0123456789abcde]*)" in rules
    assert f"Edit(/{paths.sessions_dir}/{OWN[:-1]}[123456789abcdef]*)" in rules
    assert not any("[" not in rule and OWN in rule for rule in rules)


def test_a_folder_with_signs_of_patterns_in_its_name_stands_for_itself(tmp_path: Path) -> None:
    strange = tmp_path / "a (b) [c]*\\?"
    (rule,) = protection.readable(strange)
    assert rule == f"Read(/{tmp_path}/a\\ \\(b\\)\\ \\[c\\]\\*??/attachments/**)"


def test_a_home_behind_a_link_is_named_as_it_is_called_and_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "called").symlink_to(tmp_path / "real")
    rules = protection.denied(resolve({"PILOTLIGHT_HOME": str(tmp_path / "called")}), OWN)
    assert {f"Read(/{tmp_path}/{name}/token*)" for name in ("real", "called")} <= set(rules)


def test_what_others_could_come_in_by_is_closed_and_can_be_opened(tmp_path: Path) -> None:
    closed = command_line.settings(tmp_path, ClaudeConfig())
    assert (closed["crossSessionInbound"], closed["disableAgentView"], closed["disableAllHooks"]) == (
        "refuse",
        True,
        False,
    )
    opened = command_line.settings(tmp_path, ClaudeConfig(cross_session="hold", agent_view=True))
    assert opened["crossSessionInbound"] == "hold"
    assert "disableAgentView" not in opened
    assert "crossSessionInbound" not in command_line.settings(tmp_path, ClaudeConfig(cross_session="ask"))
