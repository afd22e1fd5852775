"""What libproc says, read by the layout of its headers; on macOS also against the kernel itself."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from shared.process import darwin

COUNTERS = (
    "user_time", "system_time", "pkg_idle_wkups", "interrupt_wkups", "pageins", "wired_size", "resident_size",
    "phys_footprint", "proc_start_abstime", "proc_exit_abstime",
)  # fmt: skip


class RusageInfoV0(ctypes.Structure):
    """xnu, bsd/sys/resource.h."""

    _fields_ = (("uuid", ctypes.c_uint8 * 16), *((name, ctypes.c_uint64) for name in COUNTERS))


def kernel(status: int) -> Any:
    """A libc whose kernel counts up from 1."""

    def proc_pid_rusage(pid: ctypes.c_int, flavor: ctypes.c_int, buffer: Any) -> int:
        assert (pid.value, flavor.value) == (4711, 0)
        told = RusageInfoV0((ctypes.c_uint8 * 16)(*b"\xff" * 16), *range(1, 11))
        assert ctypes.sizeof(buffer) == ctypes.sizeof(told), "the kernel writes as much as the flavor has"
        ctypes.memmove(buffer, ctypes.byref(told), ctypes.sizeof(told))
        return status

    return SimpleNamespace(proc_pid_rusage=proc_pid_rusage)


def test_the_layout_is_that_of_the_header() -> None:
    assert ctypes.sizeof(RusageInfoV0) == 96
    assert RusageInfoV0.phys_footprint.offset == 72


def test_the_footprint_is_the_counter_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(darwin, "_libc", lambda: kernel(0))
    assert darwin.footprint(4711) == 1 + COUNTERS.index("phys_footprint")


def test_a_process_that_may_not_be_looked_at_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(darwin, "_libc", lambda: kernel(-1))
    assert darwin.footprint(4711) is None


@pytest.mark.skipif(sys.platform != "darwin", reason="asks the kernel of macOS")
def test_the_kernel_charges_what_is_written() -> None:
    before = darwin.footprint(os.getpid())
    block = bytearray(os.urandom(1 << 20) * 64)
    after = darwin.footprint(os.getpid())
    assert before is not None
    assert after is not None
    assert len(block) * 0.9 < after - before < len(block) * 1.5
    assert darwin.footprint(1) is None or os.geteuid() == 0


def test_the_words_of_a_process_are_read_behind_the_path_of_its_program() -> None:
    told = (3).to_bytes(4, sys.byteorder) + b"/bin/sh\0\0\0\0sh\0-c\0true || false\0HOME=/Users/x\0"
    assert darwin.words_in(told) == [b"sh", b"-c", b"true || false"]
    assert darwin.words_in(b"") == []
