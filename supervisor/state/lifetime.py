"""How long a session lives without activity, and what its idle age calls for: pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Config
from supervisor.store.records import SessionRecord


@dataclass(frozen=True)
class Life:
    """What a session's idle age calls for: `alive`, `warn` (once) or `expire`; `left` in seconds."""

    verdict: str
    left: float


def keeps_alive(record: SessionRecord, config: Config) -> bool:
    """Whether it is extended by itself: its own switch, or the one for all where it has none."""
    return config.sessions.auto_keep_alive if record.auto_keep_alive is None else record.auto_keep_alive


def limit(config: Config, auto: bool) -> float:
    """Seconds without activity after which a session expires."""
    sessions = config.sessions
    hours = max(sessions.timeout_hours, sessions.auto_keep_alive_max_hours) if auto else sessions.timeout_hours
    return hours * 3600.0


def lifetime(idle: float, warned: bool, config: Config, auto: bool) -> Life:
    """Judge an idle age (seconds since the last activity)."""
    end = limit(config, auto)
    if idle >= end:
        return Life("expire", 0.0)
    warning = config.sessions.warning_hours * 3600.0 + (end - config.sessions.timeout_hours * 3600.0)
    if idle >= warning and not warned:
        return Life("warn", end - idle)
    return Life("alive", end - idle)
