"""What a person's own settings mean for the command line and environment of a session."""

from __future__ import annotations

import json
from pathlib import Path

from shared.config import ClaudeConfig
from supervisor.claude import command_line
from supervisor.claude.settings import set_up

CONFIG = ClaudeConfig(command="/bin/sh")


def launch(config: ClaudeConfig, own: dict[str, str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The environment, and `env` of the settings."""
    start = command_line.launch(
        config=config,
        own={"HOME": str(folder), "PATH": "/usr/bin:/bin", **own},
        session_dir=folder / "session",
        cwd=str(folder),
        conversation_id="c",
        resume=False,
        options=command_line.Options(),
    )
    settings = json.loads(Path(start.argv[start.argv.index("--settings") + 1]).read_text())
    return start.env, settings["env"]


def persons(folder: Path, env: dict[str, str]) -> None:
    (folder / ".claude").mkdir()
    (folder / ".claude" / "settings.json").write_text(json.dumps({"env": env}))
    (folder / "session").mkdir()


def test_our_editor_wins_and_theirs_is_handed_on(tmp_path: Path) -> None:
    persons(tmp_path, {"EDITOR": "emacs", "PATH": "/theirs"})
    env, settings = launch(CONFIG, {"EDITOR": "ed"}, tmp_path)
    ours = str(tmp_path / "session" / "bin" / "pilotlight-editor")
    assert (settings["EDITOR"], settings["VISUAL"], env["EDITOR"]) == (ours, ours, ours)
    assert settings["PATH"] == f"/theirs:{tmp_path}/session/bin"
    assert env["PILOTLIGHT_EDITOR"] == "emacs"


def test_a_folder_with_a_space_is_found_through_the_path(tmp_path: Path) -> None:
    assert set_up.editor_settings(tmp_path / "a b") == {"EDITOR": "pilotlight-editor", "VISUAL": "pilotlight-editor"}


def test_an_editor_of_ours_is_nobodys_own(tmp_path: Path) -> None:
    assert set_up.editor({"VISUAL": "/x/bin/pilotlight-editor"}, {"EDITOR": "pilotlight-editor"}) == ""


def test_settings_that_cannot_be_read_set_nothing(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{broken")
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "settings.local.json").write_text('{"env": ["EDITOR"]}')
    assert set_up.environment(tmp_path, tmp_path) == {}


def test_nobody_is_asked_to_resume_from_a_summary_unless_they_want_it(tmp_path: Path) -> None:
    persons(tmp_path, {})
    names = command_line.RESUME_QUESTION
    assert {launch(CONFIG, {}, tmp_path)[0][name] for name in names} == {command_line.NEVER}
    wanted = ClaudeConfig(command="/bin/sh", env={names[0]: "70"}, pass_env=[names[1]])
    env, _ = launch(wanted, {names[1]: "100000"}, tmp_path)
    assert [env[name] for name in names] == ["70", "100000"]
