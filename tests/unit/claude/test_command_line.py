"""The command line and environment that a session's `claude` gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.config import ClaudeConfig
from shared.errors import StartFailed
from supervisor.claude import command_line

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


def launch(config: ClaudeConfig, folder: Path, options: command_line.Options | None = None) -> command_line.Launch:
    """A launch of a new conversation."""
    return command_line.launch(
        config=config,
        own=HOSTILE,
        session_dir=folder,
        cwd="/",
        conversation_id="c",
        resume=False,
        options=options or command_line.Options(),
    )


def test_environment_is_allow_listed(tmp_path: Path) -> None:
    env = launch(ClaudeConfig(command="/bin/sh"), tmp_path).env
    assert not {"CI", "CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "ANTHROPIC_API_KEY", "LD_PRELOAD"} & set(env)
    assert env["PILOTLIGHT_EDITOR"] == "ed"
    passed = launch(ClaudeConfig(command="/bin/sh", pass_env=["ANTHROPIC_API_KEY"]), tmp_path).env
    assert passed["ANTHROPIC_API_KEY"] == "secret"


def test_an_event_is_asked_for_only_of_releases_that_know_it() -> None:
    of_197, of_330 = (set(command_line.events_of(version)) for version in ("2.1.197", "2.1.330"))
    assert of_330 - of_197 == {"PostModelSwitch"}
    assert set(command_line.events_of(None)) == of_197
    assert set(command_line.events_of("2.2.0")) == of_330
    assert not {"WorktreeCreate", "WorktreeRemove"} & of_330


def test_settings_of_the_user_are_merged_below_ours(tmp_path: Path) -> None:
    theirs = {"model": "opus", "hooks": {"Stop": [{"hooks": []}]}, "permissions": {"allow": ["Bash(ls)"]}}
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps(theirs))
    for args in (["--settings", json.dumps(theirs), "--verbose"], [f"--settings={file}", "--verbose"]):
        argv = launch(ClaudeConfig(command="/bin/sh", args=args), tmp_path).argv
        assert argv.count("--settings") == 1
        assert argv[-1] == "--verbose"
        written = Path(argv[argv.index("--settings") + 1])
        assert written.stat().st_mode & 0o777 == 0o600
        merged = json.loads(written.read_text())
        assert merged["model"] == "opus"
        assert len(merged["hooks"]["Stop"]) == 2
        assert merged["permissions"]["allow"][0] == "Bash(ls)"
        assert len(merged["permissions"]["allow"]) == 2


def test_unreadable_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="--settings"):
        launch(ClaudeConfig(command="/bin/sh", args=["--settings", "/nowhere.json"]), tmp_path)


def test_what_a_session_was_started_with_is_read_back_and_not_in_its_command_line(tmp_path: Path) -> None:
    options = command_line.Options(model="m", mcp_config='{"mcpServers": {}}', append_system_prompt="Say\nXYZZY é")
    argv = launch(
        ClaudeConfig(command="/bin/sh", args=["--settings", '{"env": {"KEY": "1234"}}']), tmp_path, options
    ).argv
    assert not any(secret in word for word in argv for secret in ("mcpServers", "XYZZY", "1234", "hooks"))
    assert command_line.read_back(argv) == (
        "c",
        {
            "model": "m",
            "permission_mode": "default",
            "mcp_config": '{"mcpServers": {}}',
            "append_system_prompt": "Say\nXYZZY é",
        },
    )
    own = tmp_path / "own.json"
    argv = launch(ClaudeConfig(command="/bin/sh"), tmp_path, command_line.Options(mcp_config=str(own))).argv
    assert command_line.read_back(argv)[1]["mcp_config"] == str(own)


def test_permission_mode_is_never_skipped_by_default(tmp_path: Path) -> None:
    argv = launch(ClaudeConfig(command="/bin/sh"), tmp_path).argv
    assert argv[argv.index("--permission-mode") + 1] == "default"
    own = launch(ClaudeConfig(command="/bin/sh", args=["--permission-mode", "plan"]), tmp_path).argv
    assert own.count("--permission-mode") == 1
