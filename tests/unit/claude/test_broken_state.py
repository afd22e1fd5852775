"""The file in which Claude keeps what it knows of this machine, when it is of no use."""

from __future__ import annotations

from pathlib import Path

from supervisor.claude.settings.set_up import broken_state


def test_a_damaged_file_is_named_and_a_missing_one_is_not(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    file = tmp_path / ".claude.json"
    assert broken_state(environment) is None
    for text, why in (('{"a": 1}', None), ('{"a": ', "is damaged"), ("[]", "no object"), ("", "is damaged")):
        file.write_text(text)
        said = broken_state(environment)
        assert (said is None) == (why is None)
        assert why is None or (str(file) in str(said) and why in str(said))


def test_a_home_of_claudes_own_has_its_own_file(tmp_path: Path) -> None:
    (tmp_path / ".claude.json").write_text("{")
    assert broken_state({"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "other")}) is None
    file = tmp_path / "other" / ".claude.json"
    file.mkdir(parents=True)
    assert "cannot be read" in str(broken_state({"HOME": "/", "CLAUDE_CONFIG_DIR": str(tmp_path / "other")}))
