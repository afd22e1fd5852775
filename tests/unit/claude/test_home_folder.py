"""Where the CLI keeps its own, when that is set by hand."""

from __future__ import annotations

import pytest

from shared.config import ClaudeConfig
from shared.errors import StartFailed
from supervisor.claude.command_line import claude_home, environment, find


def test_a_tilde_that_no_shell_has_seen_is_the_home_folder() -> None:
    config = ClaudeConfig(env={"HOME": "/home/ada", "CLAUDE_CONFIG_DIR": "~/work"})
    assert environment(config, {})["CLAUDE_CONFIG_DIR"] == "/home/ada/work"
    assert str(claude_home(config, {})) == "/home/ada/work"


def test_a_relative_folder_would_be_another_one_in_each_project() -> None:
    with pytest.raises(StartFailed) as refused:
        find(ClaudeConfig(env={"CLAUDE_CONFIG_DIR": "work"}, command="/bin/sh"), {})
    assert refused.value.error_code == "invalid_claude_home"
    assert find(ClaudeConfig(env={"CLAUDE_CONFIG_DIR": "/work"}, command="/bin/sh"), {}) == "/bin/sh"
