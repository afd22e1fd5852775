"""The macOS half of `shared/process/__init__.py`: libproc through ctypes, so that neither the holder nor a signal needs psutil.

psutil's `create_time()` is no identity on macOS: it is shifted when the clock is set, by an amount that depends on when
psutil was imported, so two processes can disagree about a third. `proc_bsdinfo` (xnu `bsd/sys/proc_info.h`, 136 bytes)
carries the microsecond at which the process was created, and that never changes.
"""

from __future__ import annotations

import ctypes
import os
import struct

_PROC_PIDTBSDINFO = 3
_SEE_ZOMBIES = 1
_BSDINFO = struct.Struct("=IIIII 76x I 16x QQ")
_SZOMB = 5
_RUSAGE_INFO_V0 = 0
_RUSAGE = struct.Struct("=16s 7Q Q 2Q")
"""`rusage_info_v0` (xnu `bsd/sys/resource.h`, 96 bytes): a UUID and ten counters; the eighth is `ri_phys_footprint`."""

_ROOM_FOR_NEWCOMERS = 64
_CTL_KERN, _KERN_ARGMAX, _KERN_PROCARGS2 = 1, 8, 49


def read_stat(pid: int) -> tuple[bool, int, int, int] | None:
    """(is a zombie, parent, process session, start time in microseconds since 1970); None if there is no such pid."""
    buffer = ctypes.create_string_buffer(_BSDINFO.size)
    written = _libc().proc_pidinfo(pid, _PROC_PIDTBSDINFO, ctypes.c_uint64(_SEE_ZOMBIES), buffer, _BSDINFO.size)
    if written != _BSDINFO.size:
        return None
    _flags, status, _exit, found, parent, _group, seconds, micros = _BSDINFO.unpack(buffer.raw)
    if found != pid:
        return None
    try:
        session = os.getsid(pid)
    except OSError:
        session = 0
    return status == _SZOMB, parent, session, seconds * 1_000_000 + micros


def footprint(pid: int) -> int | None:
    """Bytes of memory that the kernel charges to a process: what it has written to, compressed and swapped pages included,
    as Activity Monitor's "Memory" and jetsam count; None when the kernel does not tell.

    The resident and the unique size miss what was compressed, and macOS compresses whatever is idle long before it swaps.
    """
    buffer = ctypes.create_string_buffer(_RUSAGE.size)
    if _libc().proc_pid_rusage(ctypes.c_int(pid), ctypes.c_int(_RUSAGE_INFO_V0), buffer) != 0:
        return None
    return int(_RUSAGE.unpack(buffer.raw)[8])


def read_arguments(pid: int) -> list[bytes]:
    """The words that a process was started with; none when the kernel does not tell."""
    most, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    if (
        _libc().sysctl((ctypes.c_int * 2)(_CTL_KERN, _KERN_ARGMAX), 2, ctypes.byref(most), ctypes.byref(size), None, 0)
        != 0
    ):
        return []
    buffer = ctypes.create_string_buffer(most.value)
    size = ctypes.c_size_t(most.value)
    asked = (ctypes.c_int * 3)(_CTL_KERN, _KERN_PROCARGS2, pid)
    if _libc().sysctl(asked, 3, buffer, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return []
    return words_in(buffer.raw[: size.value])


def words_in(told: bytes) -> list[bytes]:
    """The words in an answer to `KERN_PROCARGS2`: their count, the path of the program, zeros up to a boundary, the words."""
    if len(told) < 4:
        return []
    (count,) = struct.unpack_from("=i", told)
    behind = told[4:].partition(b"\0")[2].lstrip(b"\0")
    return behind.split(b"\0")[: max(0, count)]


def all_pids() -> list[int]:
    libc = _libc()
    size = libc.proc_listallpids(None, 0) + _ROOM_FOR_NEWCOMERS
    pids = (ctypes.c_int * size)()
    count = libc.proc_listallpids(pids, ctypes.sizeof(pids))
    return [pid for pid in pids[: max(0, count)] if pid > 0]


def boot_id() -> str:
    """A UUID that is new with every boot, whatever the clock is set to; "unknown" when the kernel does not tell."""
    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    if _libc().sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return "unknown"
    return buffer.value.decode("ascii", "replace")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
