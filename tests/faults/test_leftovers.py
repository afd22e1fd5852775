"""What is left of a session when it is over: nothing outside its own folders, and no process, socket or temporary file."""

from __future__ import annotations

import json
from pathlib import Path

from shared import process
from tests.conftest import LendHouse
from tests.faults.test_claude_killed import _sleepers, kill_claude
from tests.harness import House, until


def test_nothing_of_a_killed_session_is_left(lend_house: LendHouse, cli: Path) -> None:
    house = lend_house(cli, claude={"args": ["--allowedTools", "Bash"]})
    task = json.dumps({"command": "sleep 7654; true", "run_in_background": True})
    _, session = house.ask(f"[[tool Bash {task}]]")
    until(lambda: _sleepers(house), "the task runs")
    temporary = house.paths.temporary_dir(session)
    pid, holder = (house.session(session)[name] for name in ("pid", "holderPid"))
    assert list(temporary.glob("claude-*/*/*/tasks/*.output")), "the CLI honours TMPDIR"
    house.call("session.kill", {"sessionId": session})
    assert process.identify(holder) is None
    assert not temporary.exists()
    assert not _sleepers(house)
    assert not list((house.claude_home / ".claude" / "sessions").glob(f"{pid}.*"))
    assert list((house.paths.run_dir / "h").iterdir()) == []
    assert house.outside() == []


def test_nothing_of_a_crashed_process_is_left_outside(house: House) -> None:
    _, session = house.ask("echo: hello")
    dead = kill_claude(house, session)
    until(lambda: house.session(session)["pid"] not in (None, dead.pid), "another process")
    assert not list(house.paths.temporary_dir(session).glob(f"cc-socks*/{dead.pid}.sock"))
    assert not list((house.claude_home / ".claude" / "sessions").glob(f"{dead.pid}.*"))
    assert house.outside() == []
