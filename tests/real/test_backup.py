"""A backup of a home that is in use, and a home that comes back from it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.conftest import MakeHouse
from tests.harness import House


def command(house: House, *words: str) -> tuple[int, dict[str, Any]]:
    """A command line with `--json`: its exit code, and what it said."""
    run = [sys.executable, "-m", "cli", *words, "--json"]
    done = subprocess.run(run, env=house.environment(), cwd=house.folder, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout or done.stderr)


def test_a_home_comes_back_from_its_backup_with_memory_and_queue(
    make_house: MakeHouse, one_cli: Path, folder: Path
) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    _, session = house.ask("Remember the word MEDLAR")
    cut = house.send("[[gate held]] echo: cut", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("held", 30)
    waits = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    file = folder / "kept.tar.gz"
    code, told = command(house, "backup", str(file), "--transcripts")
    assert (code, told["sessions"], told["messages"], told["transcripts"]) == (0, 1, 3, 1)
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.glob("*making*")] == []
    code, told = command(house, "restore", str(file))
    assert (code, told["error"]["status"]) == (3, 503), "the home is in use"
    house.model.release("held")
    assert house.message(waits, wait=30)["state"] == "answered"
    transcript = next((house.claude_home / ".claude" / "projects").glob(f"*/{session}.jsonl"))
    house.call("shutdown", {"sessions": True})
    assert house.supervisor is not None
    house.supervisor.wait(30)
    assert command(house, "restore", str(file))[1]["error"]["code"] == "home_not_empty"

    house.home.rename(folder / "lost")
    transcript.unlink()
    code, told = command(house, "restore", str(file))
    assert (code, told["sessions"], told["waiting"], told["transcripts"]) == (0, 1, 1, 1)
    house.start_supervisor()
    assert "MEDLAR" in house.message(waits, wait=60)["reply"], "it waited when the backup was made"
    known = house.message(cut)
    assert (known["state"], known["error"]["code"]) == ("interrupted", "restored")
    house.until_state(session, "idle")


def test_a_backup_that_is_not_whole_is_refused(tmp_path: Path, one_cli: Path, make_house: MakeHouse) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    house.kill_supervisor()
    file = tmp_path / "kept.tar.gz"
    assert command(house, "backup", str(file))[0] == 0, "also without a supervisor"
    cut, other = tmp_path / "cut.tar.gz", tmp_path / "other.tar.gz"
    cut.write_bytes(file.read_bytes()[:-200])
    with tarfile.open(file) as old, tarfile.open(other, "w:gz") as new:
        for member in old.getmembers():
            if member.name != "home/config.yaml":
                new.addfile(member, old.extractfile(member))
    house.home.rename(tmp_path / "lost")
    for damaged in (cut, other):
        assert command(house, "restore", str(damaged))[1]["error"]["code"] == "backup_damaged"
    assert not (house.home / "pilotlight.db").exists()
    house.supervisor = None
