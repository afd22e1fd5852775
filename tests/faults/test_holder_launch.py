"""Starting a session: an exact environment, a clear word on failure, and independence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from shared.process import alive
from supervisor.holder.protocol import PROTOCOL
from supervisor.terminal.holder_client import HolderError, launch, read_exit, read_info
from tests.faults.holder_lab import CAT, DEADLINE, ROOT, Lab, until


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
    assert not lab.children()


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

    failure = await lab.refused([word.replace("BASE", str(lab.base)) for word in argv])

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

    assert (await lab.refused(CAT, cwd=str(lab.base / cwd))).code == "bad_cwd"


async def test_a_broken_spawn_file_is_reported(lab: Lab) -> None:
    assert (await lab.refused(CAT, cwd="relative")).code == "bad_spec"
    assert (await lab.refused(CAT, ring_bytes=1 << 40)).code == "bad_spec"


async def test_a_start_works_where_one_has_failed(lab: Lab) -> None:
    await lab.refused(["/no/such/program"])

    info = await lab.start(CAT)

    assert read_exit(lab.folder()) is None
    assert alive(info.child.id)


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
    assert not lab.children()


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
