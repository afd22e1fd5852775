"""The command line and environment that a session's `claude` gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.config import ClaudeConfig
from shared.errors import StartFailed
from supervisor.claude import command

HOSTILE = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/ada",
    "CI": "true",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "ANTHROPIC_API_KEY": "secret",
    "EDITOR": "ed",
    "LD_PRELOAD": "/x.so",
}


def launch(config: ClaudeConfig, folder: Path) -> command.Launch:
    """A launch of a new conversation."""
    return command.launch(
        config=config,
        own=HOSTILE,
        session_dir=folder,
        cwd="/",
        conversation_id="c",
        resume=False,
        options=command.Options(),
    )


def test_environment_is_allow_listed(tmp_path: Path) -> None:
    env = launch(ClaudeConfig(command="/bin/sh"), tmp_path).env
    assert not {"CI", "CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "ANTHROPIC_API_KEY", "LD_PRELOAD"} & set(env)
    assert env["PILOTLIGHT_EDITOR"] == "ed"
    passed = launch(ClaudeConfig(command="/bin/sh", pass_env=["ANTHROPIC_API_KEY"]), tmp_path).env
    assert passed["ANTHROPIC_API_KEY"] == "secret"


def test_settings_of_the_user_are_merged_below_ours(tmp_path: Path) -> None:
    theirs = {"model": "opus", "hooks": {"Stop": [{"hooks": []}]}, "permissions": {"allow": ["Bash(ls)"]}}
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(theirs))
    for args in (["--settings", json.dumps(theirs), "--verbose"], [f"--settings={file}", "--verbose"]):
        argv = launch(ClaudeConfig(command="/bin/sh", args=args), tmp_path).argv
        assert argv.count("--settings") == 1
        assert argv[-1] == "--verbose"
        merged = json.loads(argv[argv.index("--settings") + 1])
        assert merged["model"] == "opus"
        assert len(merged["hooks"]["Stop"]) == 2
        assert merged["permissions"]["allow"][0] == "Bash(ls)"
        assert len(merged["permissions"]["allow"]) == 2


def test_unreadable_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="--settings"):
        launch(ClaudeConfig(command="/bin/sh", args=["--settings", "/nowhere.json"]), tmp_path)


def test_permission_mode_is_never_skipped_by_default(tmp_path: Path) -> None:
    argv = launch(ClaudeConfig(command="/bin/sh"), tmp_path).argv
    assert argv[argv.index("--permission-mode") + 1] == "default"
    own = launch(ClaudeConfig(command="/bin/sh", args=["--permission-mode", "plan"]), tmp_path).argv
    assert own.count("--permission-mode") == 1
