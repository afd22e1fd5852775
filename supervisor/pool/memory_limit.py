"""What the memory of one session's process tree calls for, and how soon it may be done again: pure.

What must not regress: a limit below what a process needs to begin with does not make it start over and over; and a tree that
grows to twice the limit is ended at once, whatever was done a moment ago.
"""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1024 * 1024
HARD_FACTOR = 2.0
"""This many times the soft memory limit is not waited out until the turn ends."""

GROWN_SECONDS = 10.0
"""A process that was below the hard limit at this age has grown when it is above it, and is not what it needs to begin with."""

PAUSE_PASSES = 4.0
LONGEST_PAUSE_SECONDS = 3600.0


def memory_action(used: int, limit_mb: float, may_hibernate: bool) -> str:
    """What one tree's memory calls for: `none`, `recycle` now, `wait` for the end of the turn, or `replace` at once."""
    limit = limit_mb * MEGABYTE
    if used < limit:
        return "none"
    if used >= HARD_FACTOR * limit:
        return "replace"
    return "recycle" if may_hibernate else "wait"


@dataclass
class Pauses:
    """How soon a process may be replaced for its memory again: ever more seldom while that does not help. Times in seconds on
    the monotonic clock."""

    pause: float = 0.0
    until: float = 0.0
    replace_until: float = 0.0

    def see(self, action: str, now: float, age: float) -> None:
        """Take in what a look at a process of this age has called for."""
        if action != "replace" and age >= GROWN_SECONDS:
            self.replace_until = 0.0
        if action == "none" and now >= self.until + self.pause:  # a fresh one is small for a moment only
            self.pause = 0.0

    def over(self, action: str, now: float) -> bool:
        """Whether it may be done now. Only a replacement that has not helped holds the next one back."""
        return now >= (self.replace_until if action == "replace" else self.until)

    def begin(self, action: str, now: float, interval: float) -> None:
        """It is done now; `interval` is that of the health pass."""
        self.pause = min(LONGEST_PAUSE_SECONDS, max(PAUSE_PASSES * interval, 2.0 * self.pause))
        self.until = now + self.pause
        if action == "replace":
            self.replace_until = self.until
