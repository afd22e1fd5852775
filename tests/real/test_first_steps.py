"""Every block of the README and of the first steps is run as it stands, one after the other, in one house."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeHouse
from tests.harness import ROOT, House

NOT_HERE = ("./run", "./test", "pilotlight up", "pilotlight down")
"""What starts and stops a pilotlight is tried elsewhere (tests/real/test_distribution.py, tests/faults): this house is up."""


@pytest.fixture
def lived_in(make_house: MakeHouse, one_cli: Path) -> House:
    """With its API, and `pilotlight` on the path of a person's shell."""
    made = make_house(one_cli)
    made.start_supervisor()
    made.start_api()
    (made.folder / "bin").mkdir()
    command = made.folder / "bin" / "pilotlight"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    command.chmod(0o755)
    return made


def blocks(page: str, language: str) -> list[str]:
    """What stands in the page's blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def shell(house: House, script: str, program: str = "bash") -> str:
    """What it prints; a command of it that fails is a failure here."""
    environment = house.environment()
    environment["PATH"] = os.pathsep.join(
        [str(house.folder / "bin"), str(Path(sys.executable).parent), environment["PATH"]]
    )
    words = [program, "-euo", "pipefail", "-c", script] if program == "bash" else [program, "-c", script]
    made = subprocess.run(words, cwd=house.folder, env=environment, capture_output=True, text=True, timeout=100)
    assert made.returncode == 0, f"{script}\n{made.stdout}\n{made.stderr}"
    return made.stdout


def test_the_blocks_of_the_first_steps_and_of_the_readme_do_what_they_say(lived_in: House) -> None:
    said = shell(lived_in, "\n".join(blocks("docs/first-steps.md", "sh")) + '\necho "$id"; echo "$url"\n')

    *_, session, url = said.split()
    assert said.count("BANANA") >= 5  # two replies, the history, the API's reply, and after its sleep
    assert "event: done" in said
    assert (lived_in.folder / "shop" / "made-by-claude").exists()
    assert lived_in.call("session.get", {"sessionId": session})["endReason"] == "killed"

    session = shell(lived_in, "pilotlight new ~/shop --trust").strip()
    (program,) = blocks("docs/first-steps.md", "python")
    shell(lived_in, f"url, session = {url!r}, {session!r}\n{program}", sys.executable)
    readme(lived_in, url)


def readme(house: House, url: str) -> None:
    """The lines behind `$`, and what stands below each of them."""
    session, known = "", "8f18b2f1-c3d4-4b4e-9059-4ce12da03470"
    for block in blocks("README.md", ""):
        for command, told in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            if command.startswith(NOT_HERE):
                continue
            ran = (
                command.replace(known, session)
                .replace(" 8f ", f" {session[:8]} ")
                .replace("http://127.0.0.1:3001", url)
            )
            printed = shell(house, ran)
            session = session or printed.strip()
            end = told.replace(known, session).strip().rpartition("…,")[2]  # what stands before is cut in the page
            assert printed.strip().endswith(end), f"{ran}\n{printed}"
    assert session
