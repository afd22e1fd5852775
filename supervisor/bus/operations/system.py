"""The operations on the supervisor itself: what it is, how it is, its settings, its journal, its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from shared import __version__
from shared.bus import service_requests
from shared.bus.messages import Request
from supervisor.bus.operations.sessions import open_sessions, views_of
from supervisor.bus.operations.table import Row
from supervisor.pool.checks import run_checks
from supervisor.pool.health import Health
from supervisor.pool.metrics import Metrics
from supervisor.pool.pool import Pool
from supervisor.settings import Settings

MAX_PAGE = 1000


class SystemOps:
    """The handlers. `facts` says what is true of the daemon itself; `shutdown` ends it."""

    def __init__(
        self,
        pool: Pool,
        facts: Callable[[], dict[str, Any]],
        shutdown: Callable[[bool], Awaitable[int]],
        settings: Settings,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._facts = facts
        self._shutdown = shutdown
        self._settings = settings
        self._health = health
        self._metrics = metrics

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("ping", service_requests.Nothing, self._ping),
            ("status", service_requests.Nothing, self._status),
            ("shutdown", service_requests.Shutdown, self._stop_daemon),
            ("events.since", service_requests.EventsSince, self._events),
            ("health", service_requests.Nothing, self._check_health),
            ("metrics", service_requests.Nothing, self._count),
            ("settings.get", service_requests.Nothing, self._get_settings),
            ("settings.patch", service_requests.SettingsPatch, self._patch_settings),
        ]

    async def _ping(self, _: Any, __: Request) -> Any:
        facts = self._facts()
        return {name: facts[name] for name in ("pid", "version", "startedAt", "node", "epoch", "ready")} | {
            "head": self._pool.store.head()
        }

    async def _status(self, _: Any, __: Request) -> Any:
        facts = self._facts()
        return facts | {
            "version": __version__,
            "head": self._pool.store.head(),
            "sessions": await views_of(self._pool, [session.record for session in open_sessions(self._pool)]),
        }

    async def _check_health(self, _: Any, __: Request) -> Any:
        return run_checks(self._pool, self._health.memory_total, self._facts())

    async def _count(self, _: Any, __: Request) -> Any:
        return self._metrics.view(self._pool)

    async def _get_settings(self, _: Any, __: Request) -> Any:
        return self._settings.view()

    async def _patch_settings(self, arguments: service_requests.SettingsPatch, request: Request) -> Any:
        return self._settings.patch(arguments.values, request.actor)

    async def _stop_daemon(self, arguments: service_requests.Shutdown, _: Request) -> Any:
        return {"stopped": await self._shutdown(arguments.sessions)}

    async def _events(self, arguments: service_requests.EventsSince, _: Request) -> Any:
        store = self._pool.store
        head, limit = store.head(), max(1, min(MAX_PAGE, arguments.limit))
        found = await store.find_events(arguments.seq, limit, arguments.session_id, arguments.kinds, head)
        oldest = store.oldest()  # what is dropped meanwhile is a gap
        return {
            "epoch": store.epoch,
            "head": head,
            "oldest": oldest,
            "events": found,
            "gap": arguments.seq + 1 < oldest,
        }
