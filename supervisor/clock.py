"""A clock for lifetimes: it counts while the machine sleeps, and setting the wall clock does not move it.

`CLOCK_BOOTTIME` on Linux, `CLOCK_MONOTONIC` on macOS (which counts sleep there). Readings are only comparable within one
boot, so they are stored with the boot's identity; across a reboot the wall clock has to do, and is never believed when
it ran backward.
"""

from __future__ import annotations

import time
from pathlib import Path

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on this boot's clock."""
    return time.clock_gettime(_CLOCK)


def _boot_identity() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{int((time.time() - now()) / 60)}"


BOOT = _boot_identity()
"""Which boot readings of `now` belong to."""


def age(reading: float, boot: str, wall_ms: int) -> float:
    """Seconds since a reading; since `wall_ms` (milliseconds since the epoch) when it is of another boot. Never negative."""
    if boot == BOOT:
        return max(0.0, now() - reading)
    return max(0.0, time.time() - wall_ms / 1000.0)
