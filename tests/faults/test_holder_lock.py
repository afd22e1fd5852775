"""One holder for a session and a transcript, and a socket that is found, replaced, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
from pathlib import Path

import pytest

from shared.process import alive, send_signal
from supervisor.holder import lock as holder_lock
from supervisor.terminal.holder_client import HolderError, read_info
from tests.faults.holder_lab import CAT, IGNORES_HANGUP, Lab, python, until


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

    assert (await lab.refused(CAT, "three", locks=[str(lock)])).code == "locked"
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
    assert (await lab.refused(CAT, "three", locks=[str(held)])).code == "locked"


async def test_a_child_that_survives_its_killed_holder_still_holds_the_lock(lab: Lab) -> None:
    lock = str(lab.base / "transcript")
    info = await lab.start(IGNORES_HANGUP, "one", locks=[lock])
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id)
    assert alive(info.child.id)

    again, other = await lab.refused(CAT, "one"), await lab.refused(CAT, "two", locks=[lock])

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

    assert (await lab.refused(CAT, socket=str(lab.base / "open" / "sock"))).code == "bad_socket"
    assert (await lab.refused(CAT, socket=str(long / "sock"))).code == "bad_socket"
    await lab.empty()


async def test_nobody_listening_is_said_at_once(lab: Lab) -> None:
    info = await lab.start(CAT)
    os.kill(info.pid, signal.SIGKILL)
    await lab.gone(info.id)

    with pytest.raises(HolderError) as failure:
        await lab.watch(info)

    assert failure.value.code == "lost"
