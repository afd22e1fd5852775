"""The examples of docs/bus.md work as printed, against a real supervisor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import MakeHouse
from tests.harness import ROOT, House, until

PAGE = (ROOT / "docs" / "bus.md").read_text()


def command_on_path(house: House) -> dict[str, str]:
    """An environment with `pilotlight` on PATH, as the page asks for."""
    folder = house.folder / "bin"
    folder.mkdir()
    shim = folder / "pilotlight"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    shim.chmod(0o755)
    own = house.environment()
    return {**own, "PATH": f"{folder}:{own['PATH']}"}


def run(house: House, code: str, output: Path) -> subprocess.Popen[bytes]:
    """Start one example; what it prints is in `output`."""
    with output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=house.folder, env=command_on_path(house), stdout=file, stderr=file
        )
    return child


def test_the_subscriber_of_ten_lines_hears_a_session(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    code = PAGE.split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line]) <= 10
    output = house.folder / "heard"
    child = run(house, code, output)
    try:
        session = house.call("session.create", {"projectPath": str(house.project)})["id"]
        house.until_state(session, "idle")

        def heard() -> bool:
            assert child.poll() is None, output.read_text()
            house.call("session.update", {"sessionId": session, "title": "hello"})
            return f" updated {session} " in output.read_text()

        until(heard, "the subscriber prints an event of the session")
    finally:
        child.kill()
        child.wait()
    assert re.search(rf"^\d+ \w+ {session} \{{", output.read_text(), re.MULTILINE)


def test_the_python_client_of_the_page_lists_sessions(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    found = re.search(r"From Python:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    output = house.folder / "listed"
    child = run(house, found[1], output)
    assert child.wait(30) == os.EX_OK, output.read_text()
    assert output.read_text().strip() == "{'sessions': [], 'next': None}"
