"""Memory, CPU, messages and queue over time: each live session's last hour, and all together for a day and a fortnight.

What must not regress: it is bounded (60, 288 and 336 samples a series); what covers a day or more survives a restart; a series of
a session ends with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from shared.bus.messages import Sample
from supervisor.pool.metrics import Metrics
from supervisor.pool.pool import Pool
from supervisor.store.store import now_ms

STEPS = {"hour": (60_000, 60), "day": (300_000, 288), "fortnight": (3_600_000, 336)}
"""Of each span: how long a sample is, in milliseconds, and how many are kept."""

_KEY = "samples"
_KEPT = ("day", "fortnight")


@dataclass
class _Series:
    """Samples of one length; what is measured within one is averaged, and messages are added up."""

    step: int
    samples: deque[Sample]
    began: int = 0
    measured: list[Sample] = field(default_factory=list)

    @classmethod
    def of(cls, span: str, kept: list[Sample] | None = None) -> _Series:
        step, most = STEPS[span]
        return cls(step, deque(kept or [], maxlen=most))

    def add(self, sample: Sample) -> bool:
        """Whether a sample was completed by it."""
        slot = sample.at - sample.at % self.step
        done = bool(self.measured) and slot != self.began
        if done:
            self.samples.append(self.present())
            self.measured = []
        self.began = slot
        self.measured.append(sample)
        return done

    def present(self) -> Sample:
        """What was measured since the last whole one."""
        many = len(self.measured)
        return Sample(
            at=self.began,
            memory_bytes=sum(one.memory_bytes for one in self.measured) // many,
            cpu_percent=round(sum(one.cpu_percent for one in self.measured) / many, 1),
            messages=sum(one.messages for one in self.measured),
            queue=max(one.queue for one in self.measured),
            sessions=max(one.sessions for one in self.measured),
        )

    def view(self) -> list[Sample]:
        """Oldest first, the one under way too."""
        return [*self.samples, *([self.present()] if self.measured else [])]


class Samples:
    """Taken at each health pass."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool, self._metrics = pool, metrics
        self._accepted = 0
        self._sessions: dict[str, tuple[_Series, int]] = {}
        self._total = {span: _Series.of(span, kept) for span, kept in self._load().items()}

    def take(self) -> bool:
        """Measure once; a task that never has anything to say."""
        now, live = now_ms(), [session for session in self._pool.sessions() if session.live]
        sums = [0, 0.0, 0]
        for session in live:
            count = session.record.message_count
            series, before = self._sessions.get(session.id, (_Series.of("hour"), count))
            queue = self._pool.store.count_open(session.id)
            memory, cpu = session.memory_bytes or 0, session.cpu_percent or 0.0
            series.add(Sample(at=now, memory_bytes=memory, cpu_percent=cpu, messages=count - before, queue=queue))
            self._sessions[session.id] = (series, count)
            sums = [sums[0] + memory, sums[1] + cpu, sums[2] + queue]
        for gone in self._sessions.keys() - {session.id for session in live}:
            del self._sessions[gone]
        accepted = self._metrics.counts.get("messages_accepted", 0)
        total = Sample(
            at=now, memory_bytes=int(sums[0]), cpu_percent=sums[1], messages=accepted - self._accepted,
            queue=int(sums[2]), sessions=len(live),
        )  # fmt: skip
        self._accepted = accepted
        done = [span for span, series in self._total.items() if series.add(total)]
        if any(span in _KEPT for span in done):
            kept = {span: list(self._total[span].samples) for span in _KEPT}
            self._pool.store.set_meta(_KEY, msgspec.json.encode(kept).decode())
        return False

    def view(self, span: str) -> list[Sample]:
        """All sessions together."""
        return self._total[span].view()

    def each(self) -> dict[str, list[Sample]]:
        """The last hour of every live session."""
        return {session_id: series.view() for session_id, (series, _) in self._sessions.items()}

    def _load(self) -> dict[str, list[Sample]]:
        try:
            kept = msgspec.json.decode(self._pool.store.meta(_KEY) or "{}", type=dict[str, list[Sample]])
        except msgspec.DecodeError:
            kept = {}
        return {span: kept.get(span, []) if span in _KEPT else [] for span in STEPS}
