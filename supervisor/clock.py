"""Two clocks. One for lifetimes: it counts while the machine sleeps, and setting the wall clock does not move it. The
wall clock is for people, and decides nothing but what it alone can.

`CLOCK_BOOTTIME` on Linux, `CLOCK_MONOTONIC` on macOS (which counts sleep there). Readings are only comparable within one
boot, so they are stored with the boot's identity; across a reboot the wall clock has to do, and is never believed when
it ran backward.

Tests move both clocks of a running supervisor by way of a file (`PILOTLIGHT_CLOCK_FILE`: seconds to add to the wall clock
and to the lifetime clock). Without the variable, which is always outside tests, that costs one comparison.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SHIFTS = os.environ.get("PILOTLIGHT_CLOCK_FILE")


def now() -> float:
    """Seconds on this boot's clock."""
    return time.clock_gettime(_CLOCK) + (0.0 if _SHIFTS is None else _shift(1))


def wall() -> float:
    """Seconds since the epoch, as far as the machine knows."""
    return time.time() + (0.0 if _SHIFTS is None else _shift(0))


def _shift(which: int) -> float:
    assert _SHIFTS is not None
    try:
        return float(Path(_SHIFTS).read_text().split()[which])
    except (OSError, ValueError, IndexError):
        return 0.0


def _boot_id() -> str:
    if sys.platform == "darwin":
        from shared.process.darwin import boot_id

        return boot_id()
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


BOOT = _boot_id()
"""Which boot readings of `now` belong to."""


DRIFT_SECONDS = 60.0
"""How far the wall clock may be corrected forward between two looks without having been set."""


class Known(NamedTuple):
    """What both clocks said when the wall clock was last believed."""

    wall: float
    boot: str
    reading: float


def believed(known: Known | None) -> tuple[float, Known]:
    """Seconds since the epoch, for what is removed by its age, and what to judge by the next time. A wall clock that was set
    forward is not believed before the next boot: what is removed does not come back when the clock is put right."""
    present, reading = wall(), now()
    if known is not None and known.boot == BOOT:
        expected = known.wall + reading - known.reading
        if present > expected + DRIFT_SECONDS:
            return expected, known
    return present, Known(present, BOOT, reading)


def age(reading: float, boot: str, wall_ms: int) -> float:
    """Seconds since a reading; since `wall_ms` (milliseconds since the epoch) when it is of another boot. Never negative."""
    if boot == BOOT:
        return max(0.0, now() - reading)
    return max(0.0, wall() - wall_ms / 1000.0)
