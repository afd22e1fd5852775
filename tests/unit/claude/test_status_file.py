"""Files that a dead `claude` left in its home stop nobody, and only its own are removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from shared import process
from shared.process import ProcessId
from supervisor.claude import status_file


def status(home: Path, pid: int, conversation: str, started: object, **more: object) -> Path:
    file = home / "sessions" / f"{pid}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "sessionId": conversation, "procStart": started, **more}))
    return file


def own() -> ProcessId:
    found = process.identify(os.getpid())
    assert found is not None
    return found


def test_a_living_writer_owns_its_conversation(tmp_path: Path) -> None:
    status(tmp_path, os.getpid(), "c1", str(own().start_time))
    assert status_file.owner(tmp_path, "c1") == os.getpid()
    assert status_file.owner(tmp_path, "c2") is None


def test_a_reused_pid_and_a_damaged_file_own_nothing(tmp_path: Path) -> None:
    status(tmp_path, os.getpid(), "c1", "1")
    (tmp_path / "sessions" / "77.json").write_text('{"sessionId": "c1", ')
    (tmp_path / "sessions" / "abc.json").write_text("{}")
    assert status_file.owner(tmp_path, "c1") is None
    assert status_file.owner(tmp_path / "nowhere", "c1") is None


def test_only_files_of_the_dead_process_are_removed(tmp_path: Path) -> None:
    dead = ProcessId(own().pid, own().start_time - 1)
    socket = tmp_path / f"{dead.pid}.sock"
    socket.touch()
    mine = status(tmp_path, dead.pid, "c1", str(dead.start_time), messagingSocketPath=str(socket))
    key = mine.with_name(f"{dead.pid}.abc.key")
    other = mine.with_name("1.abc.key")
    for file in (key, other):
        file.touch()
    status_file.remove(tmp_path, dead)
    assert [file.exists() for file in (mine, socket, key, other)] == [False, False, False, True]


def test_files_of_the_living_and_of_a_later_process_stay(tmp_path: Path) -> None:
    mine = status(tmp_path, os.getpid(), "c1", str(own().start_time))
    status_file.remove(tmp_path, own())
    assert mine.exists()
    status_file.remove(tmp_path, ProcessId(own().pid, own().start_time - 1))
    assert mine.exists()
