"""The op `metrics` in Prometheus's text format, through a collector of our own: the numbers live in the supervisor.

What is read of the tree (all of it optional, times in milliseconds as everywhere on the bus):

    sessions.byState       {state: number}             pilotlight_sessions{state}
    counters               {name: number}              pilotlight_<name>_total
    latency                {step: {p50, p95, p99}}     pilotlight_message_step_seconds{step, quantile} (a summary)
    queueDepth, memoryBytes, cpuPercent                pilotlight_{queue_length, sessions_memory_bytes, machine_cpu_ratio}
    perSession             [{id, memoryBytes, cpuPercent, queueLength}]
                                                       pilotlight_session_{memory_bytes, cpu_ratio, queue_length}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from shared import __version__
from shared.errors import PilotlightError

_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_PER_SESSION = (
    ("memoryBytes", "memory_bytes", "Memory of the session's process tree.", 1.0),
    ("cpuPercent", "cpu_ratio", "Processor time of the session's process tree, 1 is one core.", 0.01),
    ("queueLength", "queue_length", "Messages that wait for this session.", 1.0),
)
_WHOLE = (
    ("queueDepth", "queue_length", "Messages that wait, of all sessions.", 1.0),
    ("memoryBytes", "sessions_memory_bytes", "Memory of the process trees of all sessions.", 1.0),
    ("cpuPercent", "machine_cpu_ratio", "Part of the machine's processors in use, 1 is all of them.", 0.01),
)


def render(call: Callable[[], Any], streams: int) -> tuple[bytes, str]:
    """Exposition text and its content type, from one call of `metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Supervisor(call, streams))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Supervisor(Collector):
    def __init__(self, call: Callable[[], Any], streams: int) -> None:
        self._call = call
        self._streams = streams

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: registering must not call the supervisor."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The metrics of one scrape."""
        build = GaugeMetricFamily("pilotlight_build_info", "Version of pilotlight.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily("pilotlight_api_streams_max", "Event streams that may be open.", value=self._streams)
        try:
            tree: dict[str, Any] | None = self._call()
        except PilotlightError:
            tree = None
        yield GaugeMetricFamily("pilotlight_up", "Whether the supervisor answers.", value=float(tree is not None))
        if tree is not None:
            yield from _families(tree)


def _families(tree: dict[str, Any]) -> Iterator[Metric]:
    states = GaugeMetricFamily("pilotlight_sessions", "Sessions by state.", labels=["state"])
    for state, count in (tree.get("sessions", {}).get("byState") or {}).items():
        states.add_metric([state], count)
    yield states
    for name, count in (tree.get("counters") or {}).items():
        snake = _snake(name)
        yield CounterMetricFamily(f"pilotlight_{snake}", f"Number of {snake.replace('_', ' ')}.", value=count)
    # A label `quantile` belongs to summaries only; these are over the newest messages, so there is no sum or count.
    steps = Metric("pilotlight_message_step_seconds", "Time a message took to reach a step.", "summary")
    for step, values in (tree.get("latency") or {}).items():
        for name, quantile in _QUANTILES.items():
            if values.get(name) is not None:
                labels = {"step": step, "quantile": quantile}
                steps.add_sample(steps.name, labels, values[name] / 1000)
    yield steps
    for key, name, text, factor in _WHOLE:
        if tree.get(key) is not None:
            yield GaugeMetricFamily(f"pilotlight_{name}", text, value=tree[key] * factor)
    for key, name, text, factor in _PER_SESSION:
        family = GaugeMetricFamily(f"pilotlight_session_{name}", text, labels=["session"])
        for session in tree.get("perSession") or []:
            if session.get(key) is not None:
                family.add_metric([session["id"]], session[key] * factor)
        yield family


def _snake(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower())
