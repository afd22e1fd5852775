"""Counters since the supervisor's start, and what is true now, for `GET /api/metrics/sessions` and Prometheus."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shared.bus import events, message_events, session_events
from shared.bus.messages import Event
from supervisor.pool.pool import Pool
from supervisor.state.states import State
from supervisor.store.store import now_ms

STEPS = (("queued", "typed"), ("typed", "submitted"), ("submitted", "answered"), ("accepted", "answered"))
COUNTERS = (
    "starts",
    "wakes",
    "hibernations",
    "recycles",
    "crashes",
    "expiries",
    "messages_accepted",
    "messages_answered",
    "messages_failed",
    "messages_interrupted",
    "messages_cancelled",
    "warnings",
    "health_passes",
)


RECYCLE_CAUSES = frozenset({"memory", "settings_changed", "upgrade"})


class Metrics:
    """Counts events as they are committed."""

    def __init__(self) -> None:
        self.since = now_ms()
        self.counts: Counter[str] = Counter()

    def take(self, committed: list[Event]) -> None:
        """Count committed events."""
        for event in committed:
            match events.read(event):
                case session_events.StateChange() as change:
                    self._transition(change)
                case message_events.MessageStep(state=state):
                    self.counts[f"messages_{state}"] += 1
                case session_events.Crashed():
                    self.counts["crashes"] += 1
                case session_events.ExpiryWarning():
                    self.counts["warnings"] += 1

    def note_pass(self) -> bool:
        """One more health pass; a task that never has anything to say."""
        self.counts["health_passes"] += 1
        return False

    def _transition(self, change: session_events.StateChange) -> None:
        to, cause = change.to, change.cause
        recycled = cause in RECYCLE_CAUSES
        if to == State.STARTING and cause != "reopened":
            self.counts["starts"] += 1
            self.counts["recycles"] += recycled
            asleep = change.from_ == State.HIBERNATED and (change.generation or 0) > 1
            self.counts["wakes"] += asleep and not recycled and cause not in ("crashed", "never_started")
        elif to == State.HIBERNATED and change.from_ == State.STOPPING:
            self.counts["hibernations"] += not recycled
        elif to == State.ENDED and change.reason == "expired":
            self.counts["expiries"] += 1

    def view(self, pool: Pool) -> dict[str, Any]:
        """Everything, as JSON."""
        sessions = [s for s in pool.sessions() if s.state is not State.ENDED]
        states = Counter(str(s.state) for s in sessions)
        return {
            "since": self.since,
            "sessions": {
                "byState": {str(state): states.get(str(state), 0) for state in State if state is not State.ENDED},
            },
            "counters": {name: self.counts.get(name, 0) for name in COUNTERS},
            "latency": latency(pool.store.step_latencies()),
            "queueDepth": sum(pool.store.count_open(s.id) for s in sessions),
            "perSession": [
                {
                    "id": s.id,
                    "state": s.state,
                    "memoryBytes": s.memory_bytes if s.live else None,
                    "cpuPercent": s.cpu_percent if s.live else None,
                    "queueLength": pool.store.count_open(s.id),
                    "messageCount": s.record.message_count,
                }
                for s in sessions
            ],
            "cpuPercent": pool.admission.cpu_percent,
            "memoryBytes": sum(s.memory_bytes or 0 for s in sessions if s.live),
        }


def latency(steps: list[dict[str, int]]) -> dict[str, dict[str, float]]:
    """Percentiles of each step in milliseconds, over the newest answered messages."""
    table: dict[str, dict[str, float]] = {}
    for first, last in STEPS:
        spans = sorted(s[last] - s[first] for s in steps if first in s and last in s)
        if spans:
            table[f"{first}_to_{last}"] = {
                "count": float(len(spans)),
                **{f"p{p}": float(spans[min(len(spans) - 1, len(spans) * p // 100)]) for p in (50, 95, 99)},
            }
    return table
