"""A spare holder becomes one like any other, costs no start when it is dead, and does not outlive its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import msgspec
import psutil
import pytest

from shared.process import alive, identify
from supervisor.terminal.holder_client import launch, read_info
from supervisor.terminal.holder_launch import SparePool
from tests.faults.holder_lab import CAT, DEADLINE, ROOT, Lab, until


@pytest.fixture
async def spares(lab: Lab) -> AsyncIterator[SparePool]:
    """With a spare that waits, after one start."""
    made = SparePool()
    await launch(lab.folder("first"), lab.spec(CAT, "first"), DEADLINE, made)
    await until(lambda: made.pid is not None)
    yield made
    await made.close()
    assert not lab.children()


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
