"""A checkout is replaced by a newer one under living sessions, as a person does it: `git checkout`, `down`, `up`.

`releases/2bb5f8a.tar.xz` holds the programs of the oldest commit whose sessions may still live when this code takes over:
`git archive 2bb5f8a supervisor shared api cli config demo launchd systemd setup.cfg pyproject.toml`. Its holders go on with the
code that they have in memory, its hooks and its editor with the paths that stand in the settings of their `claude`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec

from tests.conftest import MakeHouse
from tests.harness import ROOT, House, until

OLDEST = Path(__file__).with_name("releases") / "2bb5f8a.tar.xz"
ROOMS = ("supervisor", "shared", "api", "cli", "config", "demo", "launchd", "systemd")


def check_out_oldest(folder: Path) -> None:
    with tarfile.open(OLDEST) as archive:
        archive.extractall(folder, filter="data")


def check_out_present(folder: Path) -> None:
    """What git does: files that are gone are removed, the others are there."""
    for room in ROOMS:
        shutil.rmtree(folder / room)
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def pilotlight(house: House, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=house.folder / "checkout",
        env=house.environment() | {"PYTHONPATH": str(house.folder / "checkout")},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def test_sessions_of_the_oldest_supported_checkout_live_through_the_upgrade(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    house.paths.config_file.write_bytes(msgspec.yaml.encode(house.config))
    checkout = house.folder / "checkout"
    check_out_oldest(checkout)
    pilotlight(house, "up", "--detach", "--port", "0")
    _, idle = house.ask("Remember the word MEDLAR")
    _, busy = house.ask("Remember the word SERVICE")
    bash = json.dumps({"command": "echo held > held.txt", "description": "writes"})
    asked = house.send(f"[[tool Bash {bash}]] echo: it was granted", busy, wait=0)["message"]["id"]
    waiting = until(lambda: house.session(busy)["waiting"], "Claude asks")
    pids = {session: house.session(session)["pid"] for session in (idle, busy)}

    check_out_present(checkout)
    pilotlight(house, "down")
    pilotlight(house, "up", "--detach", "--port", "0")

    still = until(lambda: (seen := house.session(busy))["state"] == "waiting" and seen, "it is adopted as it was")
    assert {session: house.session(session)["pid"] for session in pids} == pids
    assert (still["waiting"]["id"], still["waiting"]["tool"]) == (waiting["id"], "Bash")
    house.call("session.answer", {"sessionId": busy, "waitingId": waiting["id"], "choice": "allow"})
    until(lambda: house.message(asked)["state"] == "answered", "the turn ends")
    assert house.message(asked)["reply"] == "it was granted"
    assert (house.project / "held.txt").read_text() == "held\n"
    assert {session: house.session(session)["pid"] for session in pids} == pids
    for session, word in ((idle, "MEDLAR"), (busy, "SERVICE")):
        assert house.ask("What word did I ask you to remember?", session)[0] == word
        assert house.ask("echo: tab\tand ünïcode", session)[0] == "tab\tand ünïcode"
        assert house.session(session)["health"] == "ok"
    told = [e["data"]["message"] for e in house.events() if e["kind"] == "message" and e["data"]["state"] == "answered"]
    assert len(told) == len(set(told)) == 7

    pilotlight(house, "down", "--all")
