"""What the end of a process, or a start that comes to nothing, means: decided from what is known about it, without effects.

What must not regress: a process that was ended at its terminal is not brought back; one that never got to a prompt in a
session that never worked is a failed start and does not loop, unless nobody saw its end; every other death is a crash,
answered at once the first time, then after growing pauses, and not for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.claude.last_words import PERSON_LEFT

LONGEST_RESTART_SECONDS = 60.0


@dataclass(frozen=True)
class Exit:
    """How a process ended; all None: nobody saw it end (its holder died, or the machine did)."""

    status: int | None = None
    signal: int | None = None
    overdue: float | None = None
    """It was ended from here, since it had not got to its prompt in so many seconds."""

    @property
    def words(self) -> str:
        """For people."""
        if self.overdue is not None:
            return f"no prompt in {self.overdue:.0f} s"
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        if self.status is not None:
            return f"exit status {self.status}"
        return "nobody saw its end"


@dataclass(frozen=True)
class Life:
    """What is known about the process that has ended. `deaths` counts earlier ones in a row without a steady life."""

    ready_once: bool
    worked_before: bool
    deaths: int
    said_goodbye: str | None = None
    for_good: bool = False
    """It said that it cannot start, whatever one waits for."""


def judge(end: Exit, life: Life, limit: int) -> str:
    """`exited`, `start_failed`, `give_up` or `revive`."""
    if end.status == 0 and life.ready_once and life.said_goodbye in PERSON_LEFT:
        return "exited"
    seen = end.status is not None or end.signal is not None
    if seen and not life.ready_once and not life.worked_before:
        return "start_failed"
    hopeless = seen and not life.ready_once and life.for_good
    return "give_up" if hopeless or life.deaths + 1 >= limit else "revive"


PASSING = frozenset({"holder_timeout", "holder_failed", "spawn_failed"})
"""Start errors that come from the machine's state (no memory, no process, no room, a holder that was killed or is slow)."""

REPLACED = frozenset({"claude_not_found", "claude_not_executable"})
"""Start errors that come from the CLI's file, which may be replaced just now where it has worked before."""


def judge_start(code: str, worked_before: bool, deaths: int, limit: int) -> str:
    """What a start that failed with this code means: `start_failed` for good, `give_up` after too many, or `revive`."""
    if code not in PASSING and not (worked_before and code in REPLACED):
        return "start_failed"
    return "give_up" if deaths + 1 >= limit else "revive"


def pause(deaths: int, first: float, dice: Callable[[], float] = random.random) -> float:
    """Seconds before the next start after `deaths` in a row: none after the first, then `first`, doubled each time up to
    60, with up to 20 % jitter so that sessions that died together do not come back together."""
    if deaths <= 1:
        return 0.0
    return float(min(LONGEST_RESTART_SECONDS, first * 2.0 ** (deaths - 2)) * (1.0 + 0.2 * dice()))


def why_no_start(end: Exit, last_words: str) -> str:
    """The sentence about a `claude` that ended before it was ready."""
    words = f"`claude` ended at once ({end.words})"
    return (
        f"{words}: {last_words}" if last_words else f"{words} and said nothing. Run it by hand in the project folder."
    )


def why_no_more(end: Exit, last_words: str, deaths: int) -> str:
    """The sentence about a `claude` that is not started again."""
    often = f"kept ending ({end.words}), {deaths} times in a row" if deaths > 1 else f"ended at once ({end.words})"
    times = f"`claude` {often}"
    return f"{times}: {last_words}" if last_words else f"{times}."
