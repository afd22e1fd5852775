"""A signal reaches exactly the process that was meant: not a zombie, not a reused pid, not a group."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.process import ProcessId, alive, descendants, identify, send_signal, session_members, start_time
from tests.harness import PATIENCE, until

Popen = subprocess.Popen[bytes]


@pytest.fixture
def run() -> Iterator[Callable[..., Popen]]:
    running: list[Popen] = []

    def start(*argv: str | Path, start_new_session: bool = False) -> Popen:
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=start_new_session)
        running.append(child)
        return child

    yield start
    for child in running:
        me = ProcessId(child.pid, start_time(child.pid) or 0)
        for each in [*descendants(me), me]:
            send_signal(each, signal.SIGKILL)
        child.wait(PATIENCE)
        assert child.stdout is not None
        child.stdout.close()


def known(pid: int) -> ProcessId:
    found = identify(pid)
    assert found is not None
    return found


def test_a_process_is_the_same_for_every_observer(run: Callable[..., Popen]) -> None:
    child = run("sleep", "60")
    script = f"from shared.process import identify; print(tuple(identify({child.pid})))"

    seen = subprocess.check_output([sys.executable, "-c", script], cwd=Path(__file__).parents[3], timeout=PATIENCE)

    assert seen.decode().strip() == str(tuple(known(child.pid)))
    assert known(os.getpid()) == known(os.getpid()) != known(child.pid)


def test_a_zombie_is_dead_but_still_has_a_start_time(run: Callable[..., Popen]) -> None:
    child = run("sleep", "60")
    before = known(child.pid)

    os.kill(child.pid, signal.SIGKILL)
    until(lambda: identify(child.pid) is None, "it has died")

    os.kill(child.pid, 0)  # a zombie passes this
    assert not alive(before)
    assert not send_signal(before, signal.SIGTERM)
    assert start_time(child.pid) == before.start_time


def test_a_reused_pid_is_another_process(run: Callable[..., Popen]) -> None:
    child = run("sleep", "60")
    former = ProcessId(child.pid, known(child.pid).start_time - 1)

    assert not alive(former)
    assert not send_signal(former, signal.SIGKILL)
    assert descendants(former) == []
    assert child.poll() is None


@pytest.mark.parametrize("pid", [0, -1, -2, 2**31 - 1])
def test_no_group_and_no_nonsense_is_ever_signalled(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("kill was called"))

    assert identify(pid) is None
    assert not send_signal(ProcessId(pid, 0), signal.SIGTERM)


def test_a_signal_arrives(run: Callable[..., Popen]) -> None:
    child = run("sleep", "60")

    assert send_signal(known(child.pid), signal.SIGTERM)

    assert child.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a Linux mechanism")
def test_a_signal_arrives_where_pidfd_is_forbidden(run: Callable[..., Popen], monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, flags: int = 0) -> int:
        raise PermissionError("seccomp")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    child = run("sleep", "60")

    assert not send_signal(ProcessId(child.pid, 1), signal.SIGKILL)
    assert send_signal(known(child.pid), signal.SIGTERM)
    assert child.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a Linux mechanism")
def test_a_pid_reused_before_the_handle_was_opened_is_spared(
    run: Callable[..., Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, other = run("sleep", "60"), run("sleep", "60")
    meant = ProcessId(other.pid, known(other.pid).start_time + 1)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("kill was called"))

    assert not send_signal(meant, signal.SIGKILL)
    assert (dead.poll(), other.poll()) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_name_with_parentheses_and_spaces_is_read_right(run: Callable[..., Popen], tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)

    child = run(program, "60")
    until(lambda: b"a) Z 1 (b" in Path(f"/proc/{child.pid}/stat").read_bytes(), "it has its name")

    assert alive(ProcessId(child.pid, known(child.pid).start_time))
    assert child.pid in [each.pid for each in descendants(known(os.getpid()))]


def test_descendants_include_those_in_other_sessions_but_no_zombies(run: Callable[..., Popen]) -> None:
    script = "import os, signal, subprocess\n" + (
        "sleeper = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "zombie = subprocess.Popen(['true'])\n"
        "os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)\n"
        "print(sleeper.pid, zombie.pid, flush=True)\n"
        "signal.pause()"
    )
    child = run(sys.executable, "-c", script, start_new_session=True)
    assert child.stdout is not None
    sleeper, zombie = map(int, child.stdout.readline().split())

    below = {each.pid for each in descendants(known(os.getpid()))}
    assert {child.pid, sleeper} <= below
    assert zombie not in below
    assert [each.pid for each in descendants(known(child.pid))] == [sleeper]
    assert [each.pid for each in session_members(child.pid)] == [child.pid]


def test_it_costs_the_holder_nothing_but_the_standard_library() -> None:
    script = (
        "import shared.process.family, sys; print([m for m in ('psutil', 'asyncio', 'subprocess') if m in sys.modules])"
    )

    seen = subprocess.check_output([sys.executable, "-c", script], cwd=Path(__file__).parents[3], timeout=PATIENCE)

    assert seen.strip() == b"[]"
