"""The pure decisions of the health pass over their whole range, and what is counted as memory."""

from __future__ import annotations

import logging
import mmap
import os
import signal
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import process
from shared.config import Config, SessionsConfig
from supervisor.pool import resources
from supervisor.pool.health import Health, signs_of_work, start_overdue
from supervisor.pool.memory_limit import GROWN_SECONDS, LONGEST_PAUSE_SECONDS, MEGABYTE, Pauses, memory_action
from supervisor.state.lifetime import lifetime

HOUR = 3600.0
CONFIG = Config(sessions=SessionsConfig(timeout_hours=24, warning_hours=20, auto_keep_alive_max_hours=168))


@pytest.mark.parametrize(
    ("hours", "warned", "auto", "verdict"),
    [
        (0, False, False, "alive"),
        (19.99, False, False, "alive"),
        (20, False, False, "warn"),
        (20, True, False, "alive"),
        (23.99, True, False, "alive"),
        (24, False, False, "expire"),
        (1e6, True, False, "expire"),
        (24, False, True, "alive"),
        (164, False, True, "warn"),
        (168, True, True, "expire"),
    ],
)
def test_lifetime(hours: float, warned: bool, auto: bool, verdict: str) -> None:
    assert lifetime(hours * HOUR, warned, CONFIG, auto).verdict == verdict


@given(st.floats(0, 1e7), st.booleans(), st.booleans())
def test_what_is_left_is_never_negative_and_nothing_left_is_the_end(idle: float, warned: bool, auto: bool) -> None:
    life = lifetime(idle, warned, CONFIG, auto)
    assert life.left >= 0
    assert (life.verdict == "expire") == (life.left == 0)


@pytest.mark.parametrize(
    ("megabytes", "may_hibernate", "action"),
    [(0, True, "none"), (499, False, "none"), (500, True, "recycle"), (500, False, "wait"), (999, False, "wait"),
     (1000, False, "replace"), (1000, True, "replace")],
)  # fmt: skip
def test_memory_action(megabytes: int, may_hibernate: bool, action: str) -> None:
    assert memory_action(megabytes * MEGABYTE, 500.0, may_hibernate) == action


def test_spinners_clocks_and_tips_are_no_signs_of_work() -> None:
    one = [
        "❯ do it",
        "● Reading the file",
        "✻ Pondering… (12s · ↓ 1.2k tokens · esc to interrupt)",
        "  ⎿  Tip: use /help",
    ]
    two = [
        "❯ do it",
        "● Reading the file",
        "✶ Baking… (99s · ↓ 3.4k tokens · esc to interrupt)",
        "  ⎿  Tip: use /model",
    ]
    assert signs_of_work(one) == signs_of_work(two) != ""
    assert signs_of_work([*two, "● And now the next one"]) != signs_of_work(two)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="proportional set sizes are Linux's")
def test_shared_memory_is_counted_once() -> None:
    size = 64 * MEGABYTE
    before = resources.memory_of(os.getpid())  # later it shares most of it with its children
    shared = mmap.mmap(-1, size)
    shared.write(b"x" * size)
    ready, tell = os.pipe()
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            sum(shared[::4096])
            os.write(tell, b".")
            signal.pause()
        children.append(pid)
    try:
        for _ in children:
            os.read(ready, 1)
        me = process.identify(os.getpid())
        assert me is not None
        found = resources.sample({"one": [me], "two": [me]})
        assert found["two"].pids == 0, "a process that two trees claim is counted for one"
        assert found["one"].pids >= 4
        whole = found["one"].memory
        assert whole < before + size + 3 * 60 * MEGABYTE
        assert whole > size
        resident = psutil.Process(children[0]).memory_info().rss
        assert resources.memory_of(children[0]) < resident / 2, "what four share is shared out"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for fd in (ready, tell):
            os.close(fd)


def test_a_meter_reads_percent_of_the_machine() -> None:
    meter = resources.CpuMeter()
    end = os.times().user + 0.2
    while os.times().user < end:
        pass
    assert 0 < meter.percent() <= 100


@pytest.mark.parametrize(
    ("age", "quiet", "over"), [(29.0, 29.0, False), (31.0, 31.0, True), (200.0, 1.0, False), (301.0, 1.0, True)]
)
def test_a_start_is_over_when_nothing_comes_of_it(age: float, quiet: float, over: bool) -> None:
    assert start_overdue(age, quiet, 30.0) is over


def test_memory_is_measured_again_when_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    resident = {1: 1000, 2: 1000}
    monkeypatch.setattr(resources, "memory_of", lambda pid: asked.append(pid) or 100 * pid)
    monkeypatch.setattr(resources, "_resident", resident.get)
    meter, one, two = resources.MemoryMeter(), process.ProcessId(1, 1), process.ProcessId(2, 1)

    def measured(*members: process.ProcessId) -> list[int]:
        asked.clear()
        assert meter.measure(members) == {member: 100 * member.pid for member in members}
        return asked

    assert measured(one) == [1]
    assert measured(one) == []
    assert measured(one, two) == [1, 2], "another one may share its pages"
    resident[2] = 1019
    assert measured(one, two) == []
    resident[2] = 1021
    assert measured(one, two) == [2]
    assert measured(one) == [1], "and may do so no more"
    assert measured(process.ProcessId(1, 2)) == [1], "its number was given again"
    passes = [len(measured(process.ProcessId(1, 2))) for _ in range(2 * resources.MemoryMeter.MOST_PASSES)]
    assert sum(passes) == 2, "now and then in any case"
    resident.clear()
    assert measured(process.ProcessId(1, 2)) == [1], "where its size is not told"


def test_where_the_kernel_tells_what_it_charges_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_footprint", {os.getpid(): 7}.get)
    assert resources.memory_of(os.getpid()) == 7
    monkeypatch.setattr(resources, "_footprint", lambda pid: None)
    assert resources.memory_of(os.getpid()) > MEGABYTE, "and where it does not, what can be seen from outside"


def test_a_recycling_holds_the_next_back_and_never_the_hard_limit() -> None:
    pauses = Pauses()
    pauses.begin("recycle", now=100.0, interval=30.0)
    assert (pauses.over("recycle", 219.0), pauses.over("recycle", 220.0)) == (False, True)
    assert pauses.over("replace", 101.0), "a tool may grow right behind it"
    pauses.begin("replace", now=101.0, interval=30.0)
    assert not pauses.over("replace", 340.0), "twice the first pause"
    pauses.see("none", now=105.0, age=4.0)
    assert not pauses.over("replace", 106.0), "a fresh one is small for a moment only"
    pauses.see("wait", now=112.0, age=GROWN_SECONDS)
    assert pauses.over("replace", 113.0), "it was small, and has grown"
    for _ in range(9):
        pauses.begin("recycle", now=0.0, interval=30.0)
    assert pauses.pause == LONGEST_PAUSE_SECONDS
    pauses.see("none", now=2 * LONGEST_PAUSE_SECONDS, age=60.0)
    assert pauses.pause == 0.0, "it has helped for as long as the pause was"


async def test_a_process_that_has_gone_since_the_pass_began_is_no_bug() -> None:
    gone: Any = SimpleNamespace(session=SimpleNamespace(terminal=None))
    await Health.__new__(Health)._check_progress(gone, Config())


async def test_a_process_is_not_replaced_for_the_memory_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replacement takes seconds, in which the next session may have got a new process by itself."""
    replaced: list[str] = []

    def household(name: str, pid: int) -> Any:
        record = SimpleNamespace(child=(pid, 1), holder=None)
        session = SimpleNamespace(id=name, record=record, live=True, memory_bytes=None, cpu_percent=None)

        async def replace(cause: str) -> None:
            replaced.append(name)
            second.session.record.child, second.counted = (99, 2), 150

        return SimpleNamespace(
            session=session,
            lifecycle=SimpleNamespace(replace=replace),
            memory=Pauses(),
            counted=0,
            up_since=0.0,
            hibernate_reason=None,
            may_hibernate=lambda brief: False,
            note_recycling=lambda action: None,
        )

    first, second = household("first", 11), household("second", 12)
    much = resources.Sample(2000 * MEGABYTE, 1.0, 1)
    monkeypatch.setattr(resources, "sample", lambda roots, _: dict.fromkeys(roots, much))
    monkeypatch.setattr(Health, "_check_room", AsyncMock())
    admission = SimpleNamespace(cpu_percent=0.0)
    pool: Any = SimpleNamespace(
        services=SimpleNamespace(log=logging.getLogger()), admission=admission, managed_sessions=lambda: [first, second]
    )
    await Health(pool)._check_resources(Config())
    assert replaced == ["first"]
    assert (first.counted, second.counted) == (much.memory, 150), "nor does it count for what that one took"
