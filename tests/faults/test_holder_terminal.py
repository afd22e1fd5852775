"""The terminal of a session: read whatever happens, typed into at most once, and bounded in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from supervisor.holder.protocol import encode_json
from supervisor.holder.ring import read_tail
from supervisor.terminal import queries
from supervisor.terminal.holder_client import HolderError, HolderInfo, HolderTimeout
from supervisor.terminal.terminal import Terminal
from tests.faults.holder_lab import CAT, Lab, python, until

RAW_AND_DEAF = python("import signal, tty; tty.setraw(0); print('ready', flush=True); signal.pause()")


def print_and_wait(size: int, block: int = 1 << 16) -> list[str]:
    return python(
        f"import os, signal, tty; tty.setraw(0); os.write(1, b'ready')\nfor _ in range({size // block}):\n"
        f" data = b'x' * {block}\n while data: data = data[os.write(1, data):]\n"
        "os.write(1, b'done'); signal.pause()"
    )


def private_kb(info: HolderInfo) -> int:
    return int(psutil.Process(info.pid).memory_full_info().uss) // 1024


async def test_what_is_typed_comes_back(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)

    written = await watcher.client.write("1", b"hello \xf0\x9f\x94\xa5\n", 5)

    assert written == (11, False)
    await watcher.sees(b"hello \xf0\x9f\x94\xa5\r\n" * 2)
    assert watcher.starts[0] == 0
    assert read_tail(str(lab.folder() / "ring")).data == watcher.output


async def test_one_id_is_typed_once_however_often_it_is_asked(lab: Lab) -> None:
    echo = "import tty; tty.setraw(0); print('ready', flush=True)\nwhile True: print(end=input(), flush=True)"
    info = await lab.start(python(echo))
    first, second = await lab.watch(info), await lab.watch(info)
    await first.sees(b"ready")  # before that the terminal echoes, and then forgets what was typed

    answers = await asyncio.gather(
        *(watcher.client.write("same", b"once\n", 5) for watcher in (first, second, first, second))
    )
    await first.client.write("other", b"end\n", 5)

    assert sorted(answers) == [(5, False), (5, True), (5, True), (5, True)]
    await first.sees(b"end")
    assert first.output.count(b"once") == 1


async def test_a_writer_that_left_finds_its_answer(lab: Lab) -> None:
    info = await lab.start(RAW_AND_DEAF)
    leaver = await lab.watch(info)
    await leaver.sees(b"ready")
    observer = await lab.watch(info)
    attempt = asyncio.create_task(leaver.client.write("w", b"x" * 300_000, 3.0))
    await observer.finds(lambda stat: stat["pending_writes"])

    await leaver.client.close()
    with pytest.raises(HolderError):
        await attempt

    with pytest.raises(HolderError) as found:
        await observer.client.write("w", b"x" * 300_000, 30)
    assert (found.value.code, found.value.data["written"] < 300_000) == ("timeout", True)


async def test_a_child_that_never_reads_costs_a_timeout_and_nobody_else(lab: Lab) -> None:
    info = await lab.start(RAW_AND_DEAF)
    watcher, other = await lab.watch(info), await lab.watch(info)
    await watcher.sees(b"ready")

    slow = asyncio.create_task(watcher.client.write("big", b"x" * 700_000, 3.0))
    await other.finds(lambda stat: stat["pending_writes"])
    assert (await other.client.stat())["state"] == "running"
    assert await other.client.resize(100, 30) == (100, 30)
    assert not slow.done()

    with pytest.raises(HolderError) as failure:
        await slow
    assert failure.value.code == "timeout"
    assert 0 < failure.value.data["written"] < 700_000
    with pytest.raises(HolderError, match="timeout"):
        await other.client.write("next", b"y", 0.2)


async def test_what_claude_asks_of_its_terminal_at_its_start_is_answered_once(lab: Lab) -> None:
    asks = (
        "import os, tty; tty.setraw(0); os.write(1, b'ready '); os.read(0, 1); os.write(1, b'\\x1b[c')\n"
        "while True: os.write(1, os.read(0, 100).hex().encode() + b' \\x1b[c')"
    )
    info = await lab.start(python(asks))
    first, second = (Terminal(80, 24, lambda: None, lambda _: None, lambda: None) for _ in range(2))
    await first.connect(Path(info.socket))
    await until(lambda: "ready" in first.screen.text())
    await first.press("go", b"g")
    await until(lambda: queries.ANSWER.hex() in first.screen.text())

    await second.connect(Path(info.socket))
    await first.press("end", b"e")
    await until(lambda: second.screen.text().split()[-1:] == [b"e".hex()])

    assert second.screen.text().split() == ["ready", queries.ANSWER.hex(), b"e".hex()]
    await first.close()
    await second.close()


async def test_a_large_write_arrives_whole_and_in_order(lab: Lab) -> None:
    reader = (
        "import hashlib, os, tty; tty.setraw(0); os.write(1, b'ready'); h = hashlib.sha256(); n = 0\n"
        "while n < 600000: d = os.read(0, 9999); n += len(d); h.update(d)\n"
        "os.write(1, h.hexdigest().encode() + b'!'); os.read(0, 1)"
    )
    info = await lab.start(python(reader))
    watcher = await lab.watch(info)
    await watcher.sees(b"ready")
    parts = [os.urandom(200_000) for _ in range(3)]

    await asyncio.gather(*(watcher.client.write(str(n), part, 60) for n, part in enumerate(parts)))

    await watcher.sees(hashlib.sha256(b"".join(parts)).hexdigest().encode() + b"!")


async def test_output_that_the_ring_has_lost_is_declared(lab: Lab) -> None:
    info = await lab.start(print_and_wait(1 << 20), ring_bytes=65536)
    early = await lab.watch(info, offset=None)
    end = 5 + (1 << 20) + 4
    await early.finds(lambda stat: stat["ring_end"] >= end)

    late = await lab.watch(info, offset=10)

    await late.sees(b"done")
    assert late.gaps == [(10, end - 65536)]
    assert late.starts[0] == end - 65536
    assert len(late.output) == 65536


async def test_a_client_that_comes_back_misses_and_repeats_nothing(lab: Lab) -> None:
    info = await lab.start(CAT)
    first = await lab.watch(info)
    await first.client.write("1", b"one\n", 5)
    await first.sees(b"one\r\none\r\n")
    await first.client.close()
    assert first.lost == 0

    second = await lab.watch(info, offset=len(first.output))
    await second.client.write("2", b"two\n", 5)

    await second.sees(b"two\r\ntwo\r\n")
    assert bytes(first.output + second.output) == b"one\r\none\r\ntwo\r\ntwo\r\n"
    assert not second.gaps


async def test_a_flood_that_nobody_reads_leaves_memory_flat(lab: Lab) -> None:
    size = 200 << 20
    info = await lab.start(print_and_wait(size))
    watcher = await lab.watch(info, offset=None)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(info.socket)
        deaf.sendall(encode_json({"seq": 1, "op": "subscribe", "offset": 0}))
        await watcher.finds(lambda stat: stat["ring_end"] >= 10 << 20)
        before, started = private_kb(info), time.monotonic()
        took, end = [], 0
        while end < size + 9:
            asked = time.monotonic()
            end = (await watcher.client.stat())["ring_end"]
            took.append(time.monotonic() - asked)
            assert asked - started < 60
            await asyncio.sleep(0.02)
        speed = 190 / (time.monotonic() - started)

    print(f"{speed:.0f} MB/s, {private_kb(info) - before} kB more, slowest answer {max(took) * 1000:.0f} ms")
    assert private_kb(info) - before < 512
    assert sorted(took)[len(took) // 2] < 0.5, "the flood holds every answer up; the machine only one or the other"


async def test_a_subscriber_in_a_flood_gets_every_byte_or_a_gap(lab: Lab) -> None:
    size = 20 << 20
    info = await lab.start(print_and_wait(size))
    watcher = await lab.watch(info)

    await watcher.sees(b"done")

    assert len(watcher.output) + sum(end - start for start, end in watcher.gaps) == size + 9


async def test_a_child_that_closes_its_terminal_is_kept_and_may_come_back(lab: Lab) -> None:
    script = (
        "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "name = os.ttyname(0); print('ready', flush=True); [os.close(fd) for fd in (0, 1, 2)]\n"
        "signal.sigwait([signal.SIGUSR1]); fd = os.open(name, os.O_RDWR); os.write(fd, b'back'); signal.pause()"
    )
    info = await lab.start(python(script))
    watcher = await lab.watch(info)

    await watcher.finds(lambda stat: stat["tty_closed"])
    with pytest.raises(HolderError, match="tty_closed"):
        await watcher.client.write("1", b"x", 10)
    before = psutil.Process(info.pid).cpu_times()
    await asyncio.sleep(0.5)  # the window of a measurement: it must not spin on the hang-up
    after = psutil.Process(info.pid).cpu_times()
    assert after.user + after.system - before.user - before.system < 0.1

    await watcher.client.signal(signal.SIGUSR1)
    await watcher.sees(b"back")
    assert not (await watcher.client.stat())["tty_closed"]
    assert await watcher.client.write("2", b"x", 10) == (1, False)


async def test_a_child_that_stops_itself_is_seen_stopped(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher = await lab.watch(info)

    await watcher.client.signal(signal.SIGSTOP)
    await watcher.finds(lambda stat: stat["state"] == "stopped")
    await watcher.client.signal(signal.SIGCONT)
    await watcher.finds(lambda stat: stat["state"] == "running")


async def test_the_size_is_what_was_asked_within_bounds(lab: Lab) -> None:
    script = (
        "import os, signal; show = lambda *_: os.write(1, f'{os.get_terminal_size()}\\n'.encode())\n"
        "signal.signal(signal.SIGWINCH, show); show()\nwhile True: signal.pause()"
    )
    info = await lab.start(python(script), cols=77, rows=33)
    watcher = await lab.watch(info)
    await watcher.sees(b"columns=77, lines=33")

    assert await watcher.client.resize(9999, 1) == (500, 5)

    await watcher.sees(b"columns=500, lines=5")


async def test_a_stalled_holder_costs_a_timeout_and_not_a_hang(lab: Lab) -> None:
    info = await lab.start(CAT)
    watcher, patient = await lab.watch(info, patience=2.0), await lab.watch(info)
    os.kill(info.pid, signal.SIGSTOP)

    with pytest.raises(HolderTimeout):
        await watcher.client.stat()
    with pytest.raises(HolderTimeout):
        await lab.watch(info, patience=0.3)

    os.kill(info.pid, signal.SIGCONT)
    await patient.finds(lambda stat: stat["state"] == "running")
    await watcher.finds(lambda stat: stat["state"] == "running")
    assert watcher.lost == 0


async def test_clients_that_come_and_go_leave_no_descriptor(lab: Lab) -> None:
    info = await lab.start(CAT)
    await lab.watch(info)
    before = psutil.Process(info.pid).num_fds()

    for _ in range(30):
        watcher = await lab.watch(info)
        await watcher.client.close()

    await until(lambda: psutil.Process(info.pid).num_fds() == before)
