"""systemd and launchd stop, kill and restart the supervisor: sessions live on, and readiness is told when it is true."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import process
from tests.conftest import MakeHouse
from tests.harness import PATIENCE, House, until


@pytest.fixture
def house(make_house: MakeHouse, one_cli: Path) -> House:
    return make_house(one_cli)


@pytest.fixture
def manager(folder: Path) -> Iterator[socket.socket]:
    """Where a service manager hears sd_notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(PATIENCE)
        yield listener


def alive(*pids: int) -> bool:
    return all(process.identify(pid) is not None for pid in pids)


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A control group of our own, as systemd makes one for each unit."""
    for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        group = Path(root) / f"pilotlight-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "cgroup.procs").exists():
            break
        group.rmdir()  # no control group, just a folder
    else:
        pytest.skip("this machine lets us make no control groups")
    yield group
    kill_all(group)
    until(lambda: _removed(group), "the control group is gone")


def members(group: Path) -> set[int]:
    return {int(pid) for pid in (group / "cgroup.procs").read_text().split()}


def kill_all(group: Path) -> None:
    """As systemd does with KillMode=control-group, and at last with every unit that does not stop."""

    def ended() -> bool:
        for pid in members(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not members(group)

    until(ended, "everything in the control group is dead")


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def start_within(house: House, group: Path) -> int:
    supervisor = house.start_supervisor()
    (group / "cgroup.procs").write_text(str(supervisor.pid))
    return supervisor.pid


def test_a_unit_whose_main_process_is_killed_keeps_its_sessions(control_group: Path, house: House) -> None:
    """KillMode=process, as in our unit: systemd kills the supervisor and leaves the rest of the group alone."""
    supervisor = start_within(house, control_group)
    _, session = house.ask("Remember the word ROWAN")
    before = house.session(session)
    assert {supervisor, before["pid"], before["holderPid"]} <= members(control_group)
    house.kill_supervisor()
    assert {before["pid"], before["holderPid"]} <= members(control_group)
    start_within(house, control_group)
    assert house.ask("What word did I ask you to remember?", session)[0] == "ROWAN"
    after = house.session(session)
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])


def test_a_unit_that_is_killed_as_a_group_loses_no_conversation_and_says_what_was_cut_off(
    control_group: Path, house: House
) -> None:
    """What KillMode=control-group would do, and what a machine does that kills the whole unit."""
    start_within(house, control_group)
    _, session = house.ask("Remember the word ROWAN")
    cut = house.send("[[gate turn]] echo: cut off", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("turn", 30)
    waits = house.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
    until(lambda: house.message(cut)["state"] == "submitted", "Claude has told of the prompt")
    before = house.session(session)
    kill_all(control_group)
    assert not alive(before["pid"])
    assert not alive(before["holderPid"])
    house.kill_supervisor()
    house.model.release("turn")
    start_within(house, control_group)
    assert house.message(waits, wait=60)["reply"] == "ROWAN"
    assert house.message(cut)["state"] == "interrupted"
    assert house.session(session)["generation"] == before["generation"] + 1
    assert len([event for event in house.events(session=session) if event["kind"] == "resumed"]) == 1


KILLS = {
    "KillMode=process": (signal.SIGTERM, os.kill),
    "launchd: group TERM": (signal.SIGTERM, os.killpg),
    "Ctrl+C: group INT": (signal.SIGINT, os.killpg),
    "group KILL": (signal.SIGKILL, os.killpg),
}


def test_kill_of_the_supervisor_leaves_the_turn_running_and_none_of_its_processes_is_in_its_group(house: House) -> None:
    supervisor = house.start_supervisor()
    _, session = house.ask("Remember the word ROWAN")
    before = house.session(session)
    stands_apart(house, supervisor.pid, before)
    for turn, (number, kill) in KILLS.items():
        sent = house.send(f"[[gate turn-{number}-{kill.__name__}]] echo: {turn}", session, wait=0)["message"]["id"]
        assert house.model.wait_for_gate(f"turn-{number}-{kill.__name__}", 30)
        kill(supervisor.pid, number)
        assert supervisor.wait(20) == (-number if number == signal.SIGKILL else 0), turn
        assert alive(before["pid"], before["holderPid"]), turn
        house.model.release(f"turn-{number}-{kill.__name__}")
        supervisor = house.start_supervisor()
        after = house.session(session)
        assert [after[name] for name in ("pid", "holderPid", "generation")] == [
            before[name] for name in ("pid", "holderPid", "generation")
        ]
        assert house.message(sent, wait=30)["reply"] == turn
        assert house.ask("What word did I ask you to remember?", session)[0] == "ROWAN"
        states = [event["data"]["to"] for event in house.events(session=session) if event["kind"] == "state"]
        assert "ended" not in states
        assert "hibernated" not in states
    stops_and_starts_again_at_once(house, session)


def stands_apart(house: House, supervisor: int, view: dict[str, Any]) -> None:
    """No process of the session is in the supervisor's group or session."""
    holder = process.identify(view["holderPid"])
    assert holder is not None
    for member in (holder, *process.descendants(holder)):
        assert os.getpgid(member.pid) != supervisor
        assert os.getsid(member.pid) != supervisor
    assert holder not in process.descendants(process.ProcessId(supervisor, process.start_time(supervisor) or 0))


def stops_and_starts_again_at_once(house: House, session: str) -> None:
    """As `systemctl restart` does: the next one is started the moment the old one is gone."""
    pid = house.session(session)["pid"]
    for _ in range(3):
        house.kill_supervisor(signal.SIGTERM)
        house.start_supervisor()
        assert house.session(session)["pid"] == pid
    until(lambda: house.session(session)["state"] == "idle", "idle")
    assert house.ask("echo: hello again", session)[0] == "hello again"


def test_ready_is_told_when_sessions_are_adopted_and_requests_are_answered(
    house: House, manager: socket.socket
) -> None:
    house.start_supervisor()
    _, session = house.ask("echo: hello")
    pid = house.session(session)["pid"]
    house.kill_supervisor()
    house.extra_env |= {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "600000"}
    supervisor = house.start_supervisor(ready=False)
    assert manager.recv(100) == b"READY=1"
    assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    assert house.call("ping", timeout=PATIENCE)["ready"]
    assert [event["data"]["pid"] for event in house.events(session=session) if event["kind"] == "adopted"] == [pid]
    supervisor.send_signal(signal.SIGTERM)
    assert next(told for told in iter(lambda: manager.recv(100), b"") if told != b"WATCHDOG=1") == b"STOPPING=1"
    assert supervisor.wait(20) == 0
    del house.extra_env["NOTIFY_SOCKET"], house.extra_env["WATCHDOG_USEC"]
    house.start_supervisor()


def test_one_that_may_not_serve_never_says_that_it_is_ready(house: House, manager: socket.socket) -> None:
    house.start_supervisor()
    house.extra_env["NOTIFY_SOCKET"] = manager.getsockname()
    done = subprocess.run(
        [sys.executable, "-m", "supervisor"], cwd=house.folder, env=house.environment(), capture_output=True, timeout=30
    )
    assert done.returncode == 1
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)
