"""Starting a session: one child per lock, an exact environment, a clear word on failure, and independence."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from shared.process import alive, identify, send_signal
from supervisor.holder import lock as holder_lock
from supervisor.holder.protocol import PROTOCOL
from supervisor.terminal.holder_client import HolderError, launch, read_exit, read_info
from supervisor.terminal.holder_launch import SparePool
from tests.faults.holder_lab import CAT, DEADLINE, ROOT, Lab, python, until

IGNORES_HANGUP = python(
    "import os, signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGTERM)]\n"
    "print('ready', flush=True); signal.pause()"
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as lab:
        yield lab


async def refused(lab: Lab, argv: list[str], name: str = "s", **changes: Any) -> HolderError:
    with pytest.raises(HolderError) as failure:
        await lab.start(argv, name, **changes)
    return failure.value


async def test_a_started_holder_can_be_found_again(lab: Lab) -> None:
    info = await lab.start(CAT)

    assert read_info(lab.folder()) == info
    assert (info.protocol, info.argv0) == (PROTOCOL, "/bin/cat")
    assert alive(info.id)
    assert alive(info.child.id)
    assert read_exit(lab.folder()) is None
    assert stat.S_IMODE(os.stat(info.socket).st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in lab.folder().iterdir())


async def test_a_holder_belongs_to_nobody(lab: Lab) -> None:
    info = await lab.start(CAT)
    holder = psutil.Process(info.pid)

    await until(lambda: holder.ppid() == 1)  # who forked it may have a moment left to live
    assert os.getsid(info.pid) not in (os.getsid(0), os.getsid(info.child.pid))
    assert holder.cwd() == "/"
    assert os.readlink(f"/proc/{info.pid}/fd/2") == str(lab.folder() / "holder.log")
    assert not psutil.Process().children()


async def test_a_launcher_that_is_killed_leaves_holder_and_child(lab: Lab) -> None:
    script = (
        "import asyncio, sys, msgspec; from pathlib import Path\n"
        "from supervisor.terminal.holder_client import SpawnSpec, launch\n"
        "async def main():\n"
        " spec = msgspec.json.decode(sys.argv[2], type=SpawnSpec)\n"
        f" await launch(Path(sys.argv[1]), spec, {DEADLINE}); print('ready', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    spec = msgspec.json.encode(lab.spec(CAT)).decode()
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(lab.folder()), spec), stdout=-1, cwd=ROOT, start_new_session=True
    )
    assert launcher.stdout is not None
    assert await launcher.stdout.readline() == b"ready\n"
    os.killpg(launcher.pid, signal.SIGKILL)
    await launcher.wait()

    info = read_info(lab.folder())
    assert info is not None
    watcher = await lab.watch(info)
    await watcher.client.write("1", b"alive\n", 5)
    await watcher.sees(b"alive\r\nalive")


@pytest.fixture
async def spares(lab: Lab) -> AsyncIterator[SparePool]:
    """With a spare that waits, after one start."""
    made = SparePool()
    await launch(lab.folder("first"), lab.spec(CAT, "first"), DEADLINE, made)
    await until(lambda: made.pid is not None)
    yield made
    await made.close()
    assert not psutil.Process().children()


async def test_a_spare_becomes_a_holder_like_any_other(lab: Lab, spares: SparePool) -> None:
    spare = spares.pid
    info = await launch(lab.folder(), lab.spec(CAT), DEADLINE, spares)
    holder = psutil.Process(info.pid)

    assert spares.pid != spare  # a start that took long may have another one ready
    assert read_info(lab.folder()) == info
    await until(lambda: holder.ppid() == 1)
    assert os.getsid(info.pid) not in (os.getsid(0), os.getsid(info.child.pid))
    assert holder.cwd() == "/"
    assert os.readlink(f"/proc/{info.pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{info.pid}/fd/2") == str(lab.folder() / "holder.log")
    other = psutil.Process((await lab.start(CAT, "other")).pid)
    await until(lambda: other.num_fds() == holder.num_fds())  # each has a file open for a moment as it begins
    watcher = await lab.watch(info)
    await watcher.client.write("1", b"alive\n", 5)
    await watcher.sees(b"alive\r\nalive")
    await until(lambda: spares.pid not in (None, spare))  # and there is another one


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_spare_that_is_dead_or_stopped_costs_no_start(
    lab: Lab, spares: SparePool, number: signal.Signals
) -> None:
    spare = identify(spares.pid or 0)
    assert spare is not None
    os.kill(spare.pid, number)

    info = await launch(lab.folder(), lab.spec(CAT), DEADLINE, spares)

    assert alive(info.child.id)
    await lab.gone(spare)


async def test_a_spare_does_not_outlive_its_supervisor(lab: Lab) -> None:
    script = (
        "import asyncio, sys, msgspec; from pathlib import Path\n"
        "from supervisor.terminal.holder_client import SpawnSpec, launch\n"
        "from supervisor.terminal.holder_launch import SparePool\n"
        "async def main():\n"
        " spec, spares = msgspec.json.decode(sys.argv[2], type=SpawnSpec), SparePool()\n"
        f" await launch(Path(sys.argv[1]), spec, {DEADLINE}, spares)\n"
        " while spares.pid is None: await asyncio.sleep(0.01)\n"
        " print(spares.pid, flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    spec = msgspec.json.encode(lab.spec(CAT)).decode()
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(lab.folder()), spec), stdout=-1, cwd=ROOT
    )
    assert launcher.stdout is not None
    spare = identify(int(await launcher.stdout.readline()))
    assert spare is not None
    launcher.kill()
    await launcher.wait()

    await lab.gone(spare)
    info = read_info(lab.folder())
    assert info is not None
    assert alive(info.child.id)


async def test_the_signals_of_a_terminal_do_not_end_a_holder(lab: Lab) -> None:
    info = await lab.start(CAT)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        os.kill(info.pid, number)

    watcher = await lab.watch(info)
    await watcher.client.write("1", b"alive\n", 5)
    await watcher.sees(b"alive\r\nalive")


async def test_the_child_gets_exactly_the_given_environment_and_default_signals(lab: Lab) -> None:
    script = (
        "import json, os, signal; ignored = [n.name for n in signal.Signals\n"
        " if signal.getsignal(n) == signal.SIG_IGN and n not in (signal.SIGPIPE, signal.SIGXFSZ)]\n"
        "fds = [int(fd) for fd in os.listdir('/proc/self/fd')]\n"
        "masks = [line.split()[1] for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))]\n"
        "print(json.dumps([dict(os.environ), os.getcwd(), len(fds), masks]), flush=True); signal.pause()"
    )
    spec_env = {"ODD": "ünïcödé = 'x'\n", "LC_CTYPE": "C.UTF-8"}
    argv = [sys.executable, "-S", "-c", script]
    info = await lab.start(argv, env=spec_env, cols=500)
    watcher = await lab.watch(info)
    await watcher.sees(b"]]")

    env, cwd, descriptors, masks = json.loads(watcher.output.replace(b"\r\n", b""))

    assert env == lab.spec(argv, env=spec_env).env
    assert cwd == str(lab.base)
    assert descriptors == 4  # its terminal thrice, and the listing itself
    python_ignores = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert [int(mask, 16) for mask in masks] == [0, python_ignores]


async def test_a_program_without_arguments_may_have_spaces_in_its_path(lab: Lab) -> None:
    program = lab.base / "my 'odd' \"program\" \\ here"
    program.write_text("#!/bin/sh\necho started; exec cat\n")
    program.chmod(0o755)

    watcher = await lab.watch(await lab.start([str(program)]))

    await watcher.sees(b"started")


async def test_a_program_is_found_in_the_childs_own_path(lab: Lab) -> None:
    (lab.base / "bin").mkdir()
    (lab.base / "bin" / "tool").write_text("#!/bin/sh\necho mine; exec cat\n")
    (lab.base / "bin" / "tool").chmod(0o755)

    watcher = await lab.watch(await lab.start(["tool"], env={"PATH": f"{lab.base}/bin:/bin:/usr/bin"}))

    await watcher.sees(b"mine")


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["/no/such/program"], "not_found"),
        (["no-such-program", "x"], "not_found"),
        (["/etc/passwd"], "not_executable"),
        (["/"], "not_executable"),
        (["BASE/no-shebang", "x"], "not_executable"),
        (["BASE/lost-shebang"], "not_found"),
        (["/bin/cat", "x" * 3_000_000], "spawn_failed"),
        ([], "bad_spec"),
        (["/bin/echo", "nul\0"], "bad_spec"),
    ],
)
async def test_a_program_that_cannot_start_is_reported_and_recorded(lab: Lab, argv: list[str], code: str) -> None:
    for name, text in (("no-shebang", "true"), ("lost-shebang", "#!/no/such/shell\n")):
        (lab.base / name).write_text(text)
        (lab.base / name).chmod(0o755)

    failure = await refused(lab, [word.replace("BASE", str(lab.base)) for word in argv])

    assert failure.code == code
    assert failure.message
    recorded = read_exit(lab.folder())
    assert recorded is not None
    assert recorded.error == failure.data
    assert (recorded.child, recorded.exit_status) == (None, None)
    await lab.empty()
    assert not Path(lab.spec(CAT).socket).exists()


@pytest.mark.parametrize("cwd", ["missing", "file", "closed"])
async def test_a_working_directory_that_cannot_be_entered_is_reported(lab: Lab, cwd: str) -> None:
    (lab.base / "file").touch()
    (lab.base / "closed").mkdir(mode=0o000)
    if cwd == "closed" and os.geteuid() == 0:
        pytest.skip("root enters any directory")

    assert (await refused(lab, CAT, cwd=str(lab.base / cwd))).code == "bad_cwd"


async def test_a_broken_spawn_file_is_reported(lab: Lab) -> None:
    assert (await refused(lab, CAT, cwd="relative")).code == "bad_spec"
    assert (await refused(lab, CAT, ring_bytes=1 << 40)).code == "bad_spec"


async def test_a_start_works_where_one_has_failed(lab: Lab) -> None:
    await refused(lab, ["/no/such/program"])

    info = await lab.start(CAT)

    assert read_exit(lab.folder()) is None
    assert alive(info.child.id)


async def test_one_session_directory_has_one_child(lab: Lab) -> None:
    attempts = await asyncio.gather(*(lab.start(CAT) for _ in range(8)), return_exceptions=True)

    started = [attempt for attempt in attempts if not isinstance(attempt, BaseException)]
    assert len(started) == 1
    assert {attempt.code for attempt in attempts if isinstance(attempt, HolderError)} == {"locked"}
    assert read_info(lab.folder()) == started[0]
    await until(lambda: len(lab.processes()) == 2)


async def test_one_transcript_has_one_child_whatever_the_session(lab: Lab) -> None:
    lock = lab.base / "locks" / "transcript"

    attempts = await asyncio.gather(
        *(lab.start(CAT, f"s{n}", locks=[str(lock)]) for n in range(8)), return_exceptions=True
    )

    errors = [attempt for attempt in attempts if isinstance(attempt, HolderError)]
    assert {(error.code, error.data["path"]) for error in errors} == {("locked", str(lock))}
    assert len(errors) == 7
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    await until(lambda: len(lab.processes()) == 2)


async def test_a_lock_outlives_the_removal_of_its_file(lab: Lab) -> None:
    lock = lab.base / "transcript"
    first = await lab.start(CAT, "one", locks=[str(lock)])
    lock.unlink()
    second = await lab.start(CAT, "two", locks=[str(lock)])

    assert (await refused(lab, CAT, "three", locks=[str(lock)])).code == "locked"
    assert alive(first.id)
    assert alive(second.id)


async def test_only_a_lock_that_stands_for_nobody_is_discarded(lab: Lab) -> None:
    held, survived, free = (lab.base / name for name in ("held", "survived", "free"))
    await lab.start(CAT, "one", locks=[str(held)])
    info = await lab.start(IGNORES_HANGUP, "two", locks=[str(survived)])
    await (await lab.watch(info)).sees(b"ready")
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id)
    holder_lock.release(holder_lock.take(str(free)))

    assert [holder_lock.discard(str(lock)) for lock in (held, survived, free)] == [False, False, True]
    assert [lock.exists() for lock in (held, survived, free)] == [True, True, False]
    assert (await refused(lab, CAT, "three", locks=[str(held)])).code == "locked"


async def test_a_child_that_survives_its_killed_holder_still_holds_the_lock(lab: Lab) -> None:
    lock = str(lab.base / "transcript")
    info = await lab.start(IGNORES_HANGUP, "one", locks=[lock])
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id)
    assert alive(info.child.id)

    again, other = await refused(lab, CAT, "one"), await refused(lab, CAT, "two", locks=[lock])

    assert (again.code, other.code) == ("locked", "locked")
    assert str(info.child.pid) in other.message
    send_signal(info.child.id, signal.SIGKILL)
    await lab.gone(info.child.id)
    assert alive((await lab.start(CAT, "two", locks=[lock])).id)


async def test_a_child_that_closed_its_terminal_dies_with_its_killed_holder(lab: Lab) -> None:
    script = "import os, signal; [os.close(fd) for fd in (0, 1, 2)]; signal.pause()"
    info = await lab.start(python(script))
    watcher = await lab.watch(info)
    await watcher.finds(lambda stat: stat["tty_closed"])

    os.kill(info.pid, signal.SIGKILL)

    await lab.gone(info.id, info.child.id)
    await until(lambda: watcher.lost == 1)
    assert not watcher.exits


async def test_a_stale_socket_is_replaced(lab: Lab) -> None:
    info = await lab.start(CAT)
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id, info.child.id)
    assert Path(info.socket).exists()

    watcher = await lab.watch(await lab.start(CAT))

    await watcher.client.write("1", b"new\n", 5)
    await watcher.sees(b"new\r\nnew")


def answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(path) == 0


@pytest.mark.parametrize("what", ["file", "directory"])
async def test_a_holder_whose_socket_was_deleted_binds_it_anew(lab: Lab, what: str) -> None:
    folder = lab.base / "run" / "h"
    info = await lab.start(CAT, socket=str(folder / "sock"))
    before = await lab.watch(info)
    if what == "file":
        Path(info.socket).unlink()
    else:
        shutil.rmtree(folder.parent)

    await until(lambda: answers(info.socket))  # it is there a moment before it is listened on

    after = await lab.watch(info)
    await after.client.write("1", b"found\n", 5)
    await before.sees(b"found\r\nfound")
    await after.sees(b"found\r\nfound")
    assert (before.lost, (await after.client.stat())["clients"]) == (0, 2)
    assert [path.stat().st_mode & 0o777 for path in (folder, Path(info.socket))] == [0o700, 0o600]
    # No descriptor is left of the one before, and a holder that leaves takes the new one along.
    sockets = [os.readlink(entry) for entry in Path(f"/proc/{info.pid}/fd").iterdir()]
    assert sum(name.startswith("socket:") for name in sockets) == 3
    await after.client.stop(1)
    await after.exited()
    await lab.gone(info.id)
    assert not Path(info.socket).exists()


async def test_a_socket_where_others_could_reach_it_is_refused(lab: Lab) -> None:
    (lab.base / "open").mkdir(mode=0o755)
    long = lab.base / ("x" * 104)

    assert (await refused(lab, CAT, socket=str(lab.base / "open" / "sock"))).code == "bad_socket"
    assert (await refused(lab, CAT, socket=str(long / "sock"))).code == "bad_socket"
    await lab.empty()


async def test_nobody_listening_is_said_at_once(lab: Lab) -> None:
    info = await lab.start(CAT)
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id)

    with pytest.raises(HolderError) as failure:
        await lab.watch(info)

    assert failure.value.code == "lost"


async def test_a_holder_that_cannot_run_says_why(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = lab.base / "broken.py"
    broken.write_text("raise RuntimeError('no pexpect here')")
    monkeypatch.setattr("supervisor.terminal.holder_launch.HOLDER", broken)

    with pytest.raises(HolderError, match="no pexpect here") as failure:
        await launch(lab.folder(), lab.spec(CAT), DEADLINE)

    assert failure.value.code == "launch_failed"


async def test_a_start_has_a_deadline(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = lab.base / "broken.py"
    slow.write_text("import time; time.sleep(60)")
    monkeypatch.setattr("supervisor.terminal.holder_launch.HOLDER", slow)

    with pytest.raises(HolderError) as failure:
        await launch(lab.folder(), lab.spec(CAT), 0.3)

    assert failure.value.code == "stalled"
    assert not lab.processes()
    assert not psutil.Process().children()


@pytest.mark.skipif(sys.platform != "linux", reason="PSS is a Linux measure")
async def test_a_holder_takes_less_than_ten_megabytes(lab: Lab) -> None:
    infos = [await lab.start(CAT, f"s{n}") for n in range(4)]
    watchers = [await lab.watch(info) for info in infos]
    for watcher in watchers:
        for n in range(50):
            await watcher.client.write(str(n), b"x" * 80 + b"\n", 5)
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(watcher.client.info.socket)

    pss = [psutil.Process(info.pid).memory_full_info().pss / 2**20 for info in infos]

    print(f"PSS {[round(each, 2) for each in pss]} MiB")
    assert sum(pss) / len(pss) <= 10
