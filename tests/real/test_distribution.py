"""The wheel, installed outside the checkout, is all that it takes to talk to Claude."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.distribution import build
from tests.harness import ROOT


def install(wheel: Path, folder: Path) -> Path:
    """The command in a fresh environment: the wheel's own files, and the libraries of this one (never the network)."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "-q", str(wheel)], check=True)
    (own,) = (folder / "lib").glob("python*/site-packages")
    # A plain line: the link to the checkout that lies in there is not followed.
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = subprocess.run(
        [python, "-c", "import supervisor; print(supervisor.__file__)"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(ROOT) not in where.stdout
    return folder / "bin" / "pilotlight"


@pytest.mark.timeout(180)
def test_an_installed_wheel_holds_a_conversation_in_the_demo(tmp_path: Path, cli: Path) -> None:
    command = install(build(tmp_path)[0], tmp_path / "env")
    (tmp_path / "project").mkdir()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PILOTLIGHT_HOME": str(tmp_path / "pl"),
        "PILOTLIGHT_CLAUDE": str(cli),
    }

    def pilotlight(*words: str) -> str:
        done = subprocess.run(
            [command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    try:
        assert "It is the demo" in pilotlight("up", "--demo", "--detach", "--port", "0")
        session = pilotlight("new", str(tmp_path / "project"), "--trust").strip()
        assert pilotlight("send", session, "Remember the word BANANA") == "I will remember the word BANANA.\n"
        assert pilotlight("send", session, "What word did I ask you to remember?") == "BANANA\n"
    finally:
        pilotlight("down", "--all")
