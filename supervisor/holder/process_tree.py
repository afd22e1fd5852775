"""Everything the child started, and the ladder of signals that ends it.

On Linux the holder is a child subreaper, so whatever escapes the child (a double fork, a process session of its own)
ends up below the holder and is found there. Elsewhere an orphan goes to init: the tree is remembered from each look at
it, and the child's process session is looked at once more before the child is reaped.

What must not regress: a stop takes the whole tree (failures.md 19), also what ignores HUP and TERM or starts while the
stop is under way, and reaches nothing that is not in it (`shared.process.family`). Standard library only: the holder
imports this.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import NamedTuple

from shared.process import ProcessId, alive, send_signal, session_members
from shared.process.family import is_nobodys, members

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_EVERY = 0.05


class Step(NamedTuple):
    """One rung: this signal to the child alone or to all of its tree, then so many seconds of patience."""

    signal: int
    tree: bool
    seconds: float


def polite(grace: float) -> list[Step]:
    """HUP first and to the child alone: `claude` then ends its own tasks and flushes its transcript."""
    return [
        Step(signal.SIGHUP, tree=False, seconds=grace),
        Step(signal.SIGTERM, tree=True, seconds=grace),
        Step(signal.SIGKILL, tree=True, seconds=float("inf")),
    ]


def hasty(grace: float) -> list[Step]:
    return [
        Step(signal.SIGHUP, tree=False, seconds=grace),
        Step(signal.SIGKILL, tree=True, seconds=float("inf")),
    ]


def without_child(grace: float) -> list[Step]:
    """For what is left when the child has gone. Finite: a process that cannot be killed does not keep the holder."""
    return [
        Step(signal.SIGTERM, tree=True, seconds=grace),
        Step(signal.SIGKILL, tree=True, seconds=grace),
    ]


class Tree:
    """The child and all that descends from it."""

    def __init__(self, holder: ProcessId, child: ProcessId) -> None:
        self.child = child
        self._holder = holder
        self._seen: set[ProcessId] = set()

    def members(self) -> list[ProcessId]:
        below = members(self._holder)
        if sys.platform == "linux":
            return below
        self._seen.update(below)
        self._seen = {process for process in self._seen if alive(process)}
        return list(self._seen)

    def before_reaping(self) -> None:
        """While the child's pid is still its own, and with it the number of its process session."""
        if sys.platform != "linux":
            self._seen.update(one for one in session_members(self.child.pid) if not is_nobodys(one))


class Ladder:
    """Climbs from step to step until the tree is gone; signals every process once per step, KILL at every look."""

    def __init__(self, tree: Tree, steps: list[Step], now: float) -> None:
        self._tree = tree
        self._steps = steps
        self._ends = now + steps[0].seconds
        self._signalled: set[ProcessId] = set()
        self.next_look = now
        self.exhausted = False

    def shorten(self, grace: float, now: float) -> None:
        """A second, less patient request."""
        self._steps = [step._replace(seconds=min(step.seconds, grace)) for step in self._steps[:-1]] + self._steps[-1:]
        if len(self._steps) > 1:
            self._ends = min(self._ends, now + grace)
        self.next_look = now

    def look(self, now: float) -> bool:
        """One look at the tree: signal who is due. Whether anything is left."""
        self.next_look = now + _LOOK_EVERY
        while now >= self._ends and len(self._steps) > 1:
            self._steps = self._steps[1:]
            self._ends = now + self._steps[0].seconds
            self._signalled.clear()
        step, members = self._steps[0], self._tree.members()
        self.exhausted = now >= self._ends
        for process in members if step.tree else members and [self._tree.child]:
            if step.signal == signal.SIGKILL or process not in self._signalled:
                send_signal(process, step.signal)
                if step.signal != signal.SIGKILL:
                    send_signal(process, signal.SIGCONT)  # a stopped process acts on a signal when it goes on
                self._signalled.add(process)
        return bool(members)


def adopt_orphans() -> None:
    """Whatever loses its parent below this process becomes its child instead of init's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Called in the new child: a holder that is killed must not leave a `claude` that closed its terminal."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
