"""The wheel, installed outside the checkout, is all that it takes for the five minutes of README.md."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.distribution import build_wheel
from tests.harness import ROOT
from tests.pages import SESSION, URL, readme_lines


def install(wheel: Path, folder: Path) -> Path:
    """The command in a fresh environment: the wheel's own files, and the libraries of this one (never the network)."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--no-compile"]
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
def test_the_readmes_five_minutes_work_from_an_installed_wheel(tmp_path: Path, cli: Path) -> None:
    command = install(build_wheel(tmp_path), tmp_path / "env")
    (tmp_path / "shop").mkdir()  # the project that the README takes for one
    environment = {
        "PATH": f"{command.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PILOTLIGHT_HOME": str(tmp_path / "pl"),
        "PILOTLIGHT_CLAUDE": str(cli),
    }

    def shell(line: str) -> str:
        """What it prints, with its progress; a command that fails is a failure here."""
        words = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, (line, done.stdout)
        return done.stdout

    session = ""
    try:
        assert "It is the demo" in shell("pilotlight up --demo --detach --port 0")
        (url,) = re.findall(r"^api .*(http://\S+)", shell("pilotlight status"), re.MULTILINE)
        for line, told in readme_lines():
            if line.startswith(("./run", "./test")):  # of the checkout; the line above stands for them
                continue
            printed = shell(line.replace(SESSION, session).replace(" 8f ", f" {session[:8]} ").replace(URL, url))
            session = session or printed.strip()
            end = told.replace(SESSION, session).strip().rpartition("…,")[2]  # what stands before is cut in the page
            assert printed.strip().endswith(end), f"{line}\n{printed}"
        assert session
    finally:
        subprocess.run([command, "down", "--all"], cwd=tmp_path, env=environment, capture_output=True, timeout=90)
