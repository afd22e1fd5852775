"""The ring keeps the last stretch of output under absolute offsets, through wraps, kills and concurrent readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.holder.ring import GUARD, MINIMUM, Ring, read_tail

STEP = 8


def pattern(start: int, end: int) -> bytes:
    """Bytes that say at which absolute offset they are: every 8 carry the offset of their first."""
    first = start - start % STEP
    return b"".join(at.to_bytes(STEP, "big") for at in range(first, end + STEP, STEP))[start - first : end - first]


def fill(ring: Ring, size: int, block: int = GUARD) -> None:
    goal = ring.end + size
    while ring.end < goal:
        ring.append(memoryview(pattern(ring.end, min(ring.end + block, goal))))


def everything(ring: Ring) -> bytes:
    parts, at = [], ring.start
    while at < ring.end:
        parts.append(ring.read(at, GUARD))
        at += len(parts[-1])
    return b"".join(parts)


def test_what_was_appended_is_read_back_at_its_offset(tmp_path: Path) -> None:
    ring = Ring.create(str(tmp_path / "ring"), MINIMUM)

    ring.append(memoryview(b"hello "))
    ring.append(memoryview(b"world"))

    assert (ring.start, ring.end, ring.read(6, 100)) == (0, 11, b"world")
    ring.close()


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, GUARD), min_size=1, max_size=12), capacity=st.integers(MINIMUM, 3 * GUARD))
def test_any_appends_leave_exactly_the_last_bytes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], capacity: int
) -> None:
    path = str(tmp_path_factory.mktemp("ring") / "ring")
    ring = Ring.create(path, capacity)

    for size in sizes:
        ring.append(memoryview(pattern(ring.end, ring.end + size)))

    assert ring.end == sum(sizes)
    assert everything(ring) == pattern(ring.start, ring.end)
    assert read_tail(path) == (ring.start, pattern(ring.start, ring.end))
    ring.close()


def test_what_was_cut_off_the_file_is_read_as_zeros_and_not_waited_for(tmp_path: Path) -> None:
    ring = Ring.create(str(tmp_path / "ring"), MINIMUM)
    ring.append(memoryview(b"drawn"))
    os.truncate(tmp_path / "ring", 0)
    assert ring.read(0, 100) == b"\0" * 5
    os.truncate(tmp_path / "ring", 66)
    assert ring.read(0, 100) == b"\0" * 5
    ring.close()


def test_the_file_does_not_grow_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    ring = Ring.create(str(path), MINIMUM)
    before = path.stat()

    fill(ring, 10 * GUARD)

    assert path.stat().st_size == before.st_size
    assert before.st_mode & 0o777 == 0o600
    ring.close()


def test_a_tail_is_no_longer_than_asked(tmp_path: Path) -> None:
    ring = Ring.create(str(tmp_path / "ring"), MINIMUM)
    fill(ring, 3 * GUARD)

    assert read_tail(str(tmp_path / "ring"), 100) == (ring.end - 100, pattern(ring.end - 100, ring.end))
    ring.close()


def test_a_new_ring_does_not_change_the_one_that_a_reader_has_open(tmp_path: Path) -> None:
    path = str(tmp_path / "ring")
    old = Ring.create(path, MINIMUM)
    old.append(memoryview(b"old"))

    new = Ring.create(path, MINIMUM)

    assert old.read(0, 3) == b"old"
    assert read_tail(path) == (0, b"")
    old.close()
    new.close()


def test_a_reader_beside_a_flooding_writer_never_gets_overwritten_bytes(tmp_path: Path) -> None:
    path = str(tmp_path / "ring")
    ring = Ring.create(path, 2 * GUARD)
    fill(ring, 4 * GUARD)
    over = threading.Event()

    def flood() -> None:
        while not over.is_set() and ring.end < 300 * GUARD:
            fill(ring, GUARD)

    writer = threading.Thread(target=flood)
    writer.start()
    try:
        tails = [read_tail(path) for _ in range(100)]
    finally:
        over.set()
        writer.join(10)

    assert all(tail.data == pattern(tail.start, tail.start + len(tail.data)) for tail in tails)
    ring.close()


def test_a_killed_writer_leaves_a_readable_ring(tmp_path: Path) -> None:
    path = str(tmp_path / "ring")
    script = (
        "import sys; from supervisor.holder.ring import Ring; from tests.unit.holder.test_ring import fill\n"
        "ring = Ring.create(sys.argv[1], 1 << 17); fill(ring, 1 << 18); print('full', flush=True)\n"
        "while True: fill(ring, 5000, 777)"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, cwd=root) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"full\n"
        finally:
            writer.send_signal(signal.SIGKILL)

    tail = read_tail(path)

    assert len(tail.data) == 1 << 17
    assert tail.data == pattern(tail.start, tail.start + len(tail.data))


@pytest.mark.parametrize("damage", ["empty", "other", "short"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ring"
    Ring.create(str(path), MINIMUM).close()
    if damage == "short":
        os.truncate(path, 1000)
    else:
        path.write_bytes(b"" if damage == "empty" else b"x" * 100_000)

    with pytest.raises(ValueError, match="ring"):
        read_tail(str(path))
