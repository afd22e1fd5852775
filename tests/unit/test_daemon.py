"""What the supervisor's process is given before it serves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shared import paths
from supervisor.daemon import run_daemon


def test_a_thread_that_works_gives_the_loop_the_interpreter_within_a_millisecond(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.getswitchinterval()
    (tmp_path / "config.yaml").write_text("nothing: that is known\n")
    try:
        assert run_daemon(paths.resolve({"PILOTLIGHT_HOME": str(tmp_path)}), {}) == 1
        assert "nothing" in capsys.readouterr().err
        assert sys.getswitchinterval() < 0.001
    finally:
        sys.setswitchinterval(before)
