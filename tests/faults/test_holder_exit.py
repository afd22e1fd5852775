"""The end of a session: recorded before it is told, and nothing of its tree is left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from shared.process import ProcessId, alive
from supervisor.holder.protocol import encode_json
from supervisor.holder.ring import read_tail
from supervisor.terminal.holder_client import HolderError, HolderInfo, read_exit
from tests.faults.holder_lab import CAT, Lab, Watcher, python, until

STUBBORN_TREE = python(
    "import os, signal, subprocess, sys\n"
    "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)]\n"
    "sleep = [sys.executable, '-c', 'import signal; signal.pause()']\n"  # inherits what is ignored
    "subprocess.Popen(sleep, start_new_session=True)\n"
    "subprocess.Popen(['sh', '-c', f'setsid {sys.executable} -c \"import signal; signal.pause()\" &']).wait()\n"
    "print('ready', flush=True)\nwhile True: signal.pause()"
)


def last_words(size: int) -> list[str]:
    return python(
        "import os, tty; tty.setraw(0); os.write(1, b'ready'); os.read(0, 1)\n"
        f"data = b'x' * {size}\nwhile data: data = data[os.write(1, data):]"
    )


@pytest.mark.parametrize(
    ("script", "status", "number"),
    [("exit 0", 0, None), ("exit 7", 7, None), ("kill -KILL $$", None, 9), ("kill -TERM $$", None, 15)],
)
async def test_an_exit_is_on_disk_before_it_is_told(
    lab: Lab, script: str, status: int | None, number: int | None
) -> None:
    info = await lab.start(["/bin/sh", "-c", f"read line; printf last; {script}"])
    watcher = await lab.watch(info)
    on_disk: list[object] = []
    watcher.at_exit = lambda: on_disk.append(read_exit(lab.folder()))

    await watcher.client.write("1", b"\n", 5)
    how = await watcher.exited()

    recorded = read_exit(lab.folder())
    assert on_disk == [recorded]
    assert recorded is not None
    assert (recorded.exit_status, recorded.signal, recorded.error) == (status, number, None)
    assert (how["exit_status"], how["signal"]) == (status, number)
    assert recorded.child == info.child
    assert abs(recorded.at - time.time()) < 60
    assert watcher.output == b"\r\nlast"
    assert recorded.output_end == len(watcher.output)
    await lab.gone(info.id)
    assert not Path(info.socket).exists()
    assert (len(watcher.exits), watcher.lost) == (1, 0)


async def test_the_last_output_is_kept_for_those_who_come_too_late(lab: Lab) -> None:
    info = await lab.start(["/bin/sh", "-c", "echo last words; exit 3"])
    await lab.gone(info.id)

    assert read_tail(str(lab.folder() / "ring")).data == b"last words\r\n"
    recorded = read_exit(lab.folder())
    assert recorded is not None
    assert (recorded.exit_status, recorded.output_end) == (3, 12)


async def test_a_lot_of_last_output_reaches_a_subscriber(lab: Lab) -> None:
    watcher = await lab.watch(await lab.start(last_words(500_000)))
    await watcher.sees(b"ready")

    await watcher.client.write("1", b"\n", 5)
    how = await watcher.exited()

    assert not watcher.gaps
    assert watcher.output.endswith(b"x" * 500_000)
    assert how["output_end"] == len(watcher.output)


async def test_calls_after_the_exit_say_so(lab: Lab) -> None:
    watcher = await lab.watch(await lab.start(["/bin/sh", "-c", "read line"]))
    await watcher.client.write("1", b"\n", 5)
    await watcher.exited()

    with pytest.raises(HolderError) as failure:
        await watcher.client.write("2", b"x", 5)

    assert failure.value.code == "exited"


async def test_a_write_that_waits_ends_with_the_child(lab: Lab) -> None:
    info = await lab.start(python("import signal, tty; tty.setraw(0); print('ready', flush=True); signal.pause()"))
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")
    write = asyncio.create_task(watcher.client.write("1", b"x" * 500_000, 60))
    await watcher.finds(lambda stat: stat["pending_writes"])

    await watcher.client.signal(signal.SIGKILL)

    with pytest.raises(HolderError) as failure:
        await write
    assert failure.value.code == "exited"


async def test_a_stop_ends_what_ignores_it_and_what_escaped(lab: Lab) -> None:
    info = await lab.start(STUBBORN_TREE)
    bystander = await lab.start(CAT, "bystander")
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")

    def tree() -> list[ProcessId]:
        return [each for each in lab.processes() if each not in (info.id, bystander.id, bystander.child.id)]

    await until(lambda: len(tree()) == 3)  # one that is just becoming its program shows no environment
    members, started = tree(), time.monotonic()

    await watcher.client.stop(0.7)
    answered = time.monotonic() - started
    how = await watcher.exited()

    assert answered < 1.3
    assert how["signal"] == signal.SIGKILL
    assert not any(alive(process) for process in members)
    assert 1.4 <= time.monotonic() - started < 15
    assert alive(bystander.child.id)


async def test_a_stop_is_polite_first(lab: Lab) -> None:
    script = (
        "import os, signal, sys\ndef bye(*_): os.write(1, b'flushed\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGHUP, bye); os.write(1, b'ready\\n'); signal.pause()"
    )
    watcher = await lab.watch(await lab.start(python(script)))
    await watcher.sees(b"ready")

    await watcher.client.stop(10)
    how = await watcher.exited()

    assert how["exit_status"] == 0
    assert watcher.output.endswith(b"flushed\r\n")


async def test_a_stopped_child_can_be_stopped_for_good(lab: Lab) -> None:
    watcher = await lab.watch(await lab.start(CAT))
    await watcher.client.signal(signal.SIGSTOP)
    await watcher.finds(lambda stat: stat["state"] == "stopped")

    await watcher.client.stop(10)

    assert (await watcher.exited())["signal"] == signal.SIGHUP


async def test_an_impatient_second_stop_hurries_the_first(lab: Lab) -> None:
    watcher = await lab.watch(await lab.start(STUBBORN_TREE))
    await watcher.sees(b"ready")
    started = time.monotonic()

    await watcher.client.stop(60)
    assert (await watcher.client.stat())["stopping"]
    await watcher.client.stop(0.1)
    await watcher.exited()

    assert time.monotonic() - started < 30


async def test_what_an_exited_child_leaves_behind_is_ended(lab: Lab) -> None:
    script = "setsid sleep 60 & (trap '' TERM; setsid sleep 61) & read line; exit 5"
    info = await lab.start(["/bin/sh", "-c", script])
    watcher = await lab.watch(info)
    await until(lambda: len(lab.processes()) >= 4)

    await watcher.client.write("1", b"\n", 5)
    how = await watcher.exited()

    assert how["exit_status"] == 5
    assert lab.processes() in ([], [info.id])
    await lab.empty()


async def test_signals_reach_the_scope_that_was_asked(lab: Lab) -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        "show = 'import os, signal, sys\\ndef got(*_): os.write(1, sys.argv[1].encode() + bytes([10]))\\n"
        'signal.signal(signal.SIGUSR1, got); print("up", sys.argv[1], flush=True)\\nwhile True: signal.pause()\'\n'
        "subprocess.Popen([sys.executable, '-c', show, 'same-group'])\n"
        "subprocess.Popen([sys.executable, '-c', show, 'own-session'], start_new_session=True)\n"
        "os.execv(sys.executable, [sys.executable, '-c', show, 'child'])"
    )
    watcher = await lab.watch(await lab.start(python(script)))
    for name in (b"up child", b"up same-group", b"up own-session"):
        await watcher.sees(name + b"\r\n")  # to its end, or that counts as the first line of an answer

    seen = {}
    for scope, count in (("child", 1), ("group", 2), ("tree", 3)):
        before = len(watcher.output)
        await watcher.client.signal(signal.SIGUSR1, scope)
        seen[scope] = await names_after(watcher, before, count)

    everyone = [b"child", b"own-session", b"same-group"]
    assert seen == {"child": everyone[:1], "group": [everyone[0], everyone[2]], "tree": everyone}


async def names_after(watcher: Watcher, offset: int, count: int) -> list[bytes]:
    await until(lambda: watcher.output.count(b"\n", offset) >= count)
    return sorted(bytes(watcher.output[offset:]).split())


async def test_sigterm_to_a_holder_ends_its_tree_with_a_record(lab: Lab) -> None:
    info = await lab.start(STUBBORN_TREE)
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")
    started = time.monotonic()

    os.kill(info.pid, signal.SIGTERM)

    assert (await watcher.exited())["signal"] == signal.SIGKILL
    assert 1.5 < time.monotonic() - started < 20
    await lab.empty()
    assert read_exit(lab.folder()) is not None


async def test_a_killed_holder_takes_its_child_and_leaves_its_ring(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)
    await watcher.client.write("1", b"evidence\n", 5)
    await watcher.sees(b"evidence\r\nevidence\r\n")

    os.kill(info.pid, signal.SIGKILL)

    await lab.gone(info.id, info.child.id)
    await until(lambda: watcher.lost == 1)
    assert not watcher.exits
    assert read_tail(str(lab.folder() / "ring")).data == watcher.output
    assert read_exit(lab.folder()) is None


async def test_a_client_that_never_reads_delays_the_end_by_a_second_at_most(lab: Lab) -> None:
    info = await lab.start(last_words(900_000))
    watcher = await lab.watch(info, offset=None)
    await watcher.finds(lambda stat: stat["ring_end"] == 5)
    reader, writer = await asyncio.open_unix_connection(info.socket, limit=1024)
    writer.write(encode_json({"seq": 1, "op": "subscribe", "offset": 0}))
    await reader.readexactly(4)

    await watcher.client.write("1", b"\n", 5)
    how = await watcher.exited()
    await lab.gone(info.id)

    assert 0.9 < time.time() - how["at"] < 15  # from the exit itself: this process may hear of it late
    writer.close()


async def test_many_starts_and_stops_leave_no_descriptor_process_or_file(lab: Lab) -> None:
    me = psutil.Process()

    async def once(n: int) -> HolderInfo:
        info = await lab.start(CAT, f"s{n % 3}")
        watcher = await lab.watch(info)
        await watcher.client.stop(1)
        await watcher.exited()
        await watcher.client.close()
        await lab.gone(info.id)
        return info

    await once(0)
    before, terminals = me.num_fds(), slaves_of(lab)
    for n in range(30):
        await once(n)

    await until(lambda: me.num_fds() <= before)  # the last connection is closed in the next turn of the loop
    assert slaves_of(lab) == terminals == 0
    assert not lab.processes()
    assert not lab.children()
    assert sorted(path.name for path in lab.folder("s1").iterdir()) == [
        "exit.json", "holder.json", "holder.lock", "holder.log", "ring", "spawn.json",
    ]  # fmt: skip
    assert (lab.folder("s1") / "holder.log").read_text() == ""


def slaves_of(lab: Lab) -> int:
    """Terminals that are still open in a process of this test."""
    return sum(psutil.Process(process.pid).terminal() is not None for process in lab.processes())


async def test_a_disk_that_is_full_at_the_exit_does_not_silence_it(lab: Lab) -> None:
    info = await lab.start(["/bin/sh", "-c", "read line; exit 4"])
    watcher = await lab.watch(info)
    lab.folder().rename(lab.base / "elsewhere")
    (lab.base / "s").write_text("in the way of exit.json")

    await watcher.client.write("1", b"\n", 5)

    assert (await watcher.exited())["exit_status"] == 4
    await lab.gone(info.id)
    assert "exit.json" in (lab.base / "elsewhere" / "holder.log").read_text()
