"""The daemon: one instance a home, wired together, started, announced as ready, and taken down without touching a session."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from shared import __version__, node
from shared.access.bus_keys import BusKeyring
from shared.bus import service_events
from shared.bus.messages import NodeView
from shared.bus.operations import with_effect
from shared.config import Config, load
from shared.errors import InvalidRequest, PilotlightError, StorageFailed
from shared.logs import open_log
from shared.paths import Paths
from shared.readiness import ALIVE, READY, STOPPING, announced, notify, watchdog_seconds
from supervisor.bus.audit import AccessWatch, Audit
from supervisor.bus.operations.desk import DeskOps
from supervisor.bus.operations.history import HistoryOps
from supervisor.bus.operations.messages import MessageOps
from supervisor.bus.operations.moves import MoveOps
from supervisor.bus.operations.notifications import NotificationOps
from supervisor.bus.operations.sessions import SessionOps
from supervisor.bus.operations.system import SystemOps
from supervisor.bus.operations.table import Ops
from supervisor.bus.operations.terminal import TerminalOps
from supervisor.bus.server import Bus
from supervisor.bus.sockets import Endpoint, LocalEndpoint, TcpEndpoint
from supervisor.claude import command_line
from supervisor.instance import Ownership
from supervisor.moving import arrivals
from supervisor.notifications.feed import CommandFeed
from supervisor.notifications.service import Notifications
from supervisor.pool import resources
from supervisor.pool.checks import claude_facts, claude_version
from supervisor.pool.health import Health
from supervisor.pool.managed_session import follow_delivery
from supervisor.pool.metrics import Metrics
from supervisor.pool.pool import Pool
from supervisor.pool.recovery import Loss, forgive, open_store, restore
from supervisor.pool.retention import Retention
from supervisor.pool.samples import Samples
from supervisor.pool.transcripts import Transcripts
from supervisor.session import attachments
from supervisor.session.services import Services
from supervisor.settings import Settings
from supervisor.store import verification
from supervisor.store.publishing import Publisher
from supervisor.store.store import Damaged, Store, now_ms
from supervisor.viewers.recorder import Recorder
from supervisor.viewers.server import Viewers

VERSION_EVERY_SECONDS = 600.0
LOOKUP_SECONDS = 1.0
CANCEL_AGAIN_SECONDS = 0.2
SWITCH_SECONDS = 0.0005
"""How long a thread that works may keep the interpreter when the loop wants it back, which it does after each call that waits or
sends: an answer takes several, and with Python's 5 ms each others waited for as long as a long transcript was read."""


DEMO = "PILOTLIGHT_DEMO"
"""The environment variable by which `pilotlight up --demo` makes the CLI talk to its model: the CLI's variables, as JSON."""


OLD_DEMO = "PILOTLIGHT_DEMO_URL"
"""How an earlier version's command said it: one that still runs restarts what has died with it."""


def overlay_demo(config: Config, environment: Mapping[str, str]) -> Config:
    """In demo mode the CLI gets what the command says, and what the configuration says above that."""
    if not environment.get(DEMO):
        if environment.get(OLD_DEMO):  # never the real service in its place
            raise InvalidRequest(
                "This was started by an earlier version's `pilotlight up --demo`. End that, then `pilotlight down` and "
                "`pilotlight up`.",
                code="invalid_config",
            )
        return config
    try:
        given = msgspec.json.decode(environment[DEMO], type=dict[str, str])
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{DEMO} must be a JSON object of texts: {error}.", code="invalid_config") from error
    return replace(config, claude=replace(config.claude, env={**given, **config.claude.env}))


@dataclass(frozen=True)
class Parts:
    """What a supervisor is made of."""

    services: Services
    settings: Settings
    pool: Pool
    health: Health
    notifications: Notifications
    feed: CommandFeed
    viewers: Viewers
    recorder: Recorder
    history: HistoryOps
    bus: Bus
    publisher: Publisher


class Daemon:
    """Everything of one supervisor process."""

    def __init__(self, paths: Paths, environment: Mapping[str, str]) -> None:
        self._paths = paths
        self._environment = dict(environment)
        self._started_at = now_ms()
        self._ready = False
        self._version: str | None = None
        self._node = node.Node("", "")
        self._tcp: TcpEndpoint | None = None
        self._claude: tuple[float, dict[str, Any]] = (0.0, {})
        self._done = asyncio.Event()
        self.config = overlay_demo(load(paths.config_file, environment), environment)

    async def run(self) -> int:
        """Serve until SIGTERM, SIGINT or a `shutdown` request. Return the exit status."""
        self._paths.prepare()
        ownership = Ownership.take(self._paths, self._started_at)
        try:
            return await self._serve(ownership)
        finally:
            ownership.release()

    async def _serve(self, ownership: Ownership) -> int:
        log = open_log("supervisor", self._paths.log_dir, self.config.log)
        store, loss = open_store(self._paths.database)
        parts = self._wire(ownership, store, log)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._done.set)
        await self._take_up(parts, loss)
        tasks = [asyncio.create_task(work, name=name) for name, work in self._work(parts)]
        notify(READY)
        stopping = asyncio.create_task(self._done.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            notify(STOPPING)
            await _cancel({*tasks, stopping})
            await _close(parts)
        return 0

    def _wire(self, ownership: Ownership, store: Store, log: logging.Logger) -> Parts:
        """Everything, knowing each other; nothing runs yet."""
        self._node = node.establish(self._paths.home, self.config.node.name, store.epoch)
        store.journal.node = self._node.id
        settings = Settings(self.config, store)
        services = Services(
            store=store,
            paths=self._paths,
            config=lambda: settings.config,
            environment=self._environment,
            claude_home=command_line.claude_home(self.config.claude, self._environment),
            log=log,
            demo=bool(self._environment.get(DEMO)),
        )
        pool = Pool(services)
        health, metrics = Health(pool), Metrics()
        notifications = Notifications(
            store, lambda: settings.config.notify, pool.look, self._paths.push_key, self._node.id, log
        )
        feed = CommandFeed(lambda: settings.config.notify, store, notifications.courier, log)
        settings.listeners += [health.changed.set, partial(follow_delivery, pool.managed_sessions)]
        viewers = Viewers(pool, self._paths.terminal_socket)
        recorder = Recorder(pool, viewers, log)
        system = SystemOps(
            pool,
            lambda: {
                **self._facts(pool),
                "notifyError": feed.error,
                "notifyFailing": [(one.name, one.error) for one in notifications.failing()],
            },
            lambda sessions: self._shutdown(pool, sessions),
            settings,
            health,
            metrics,
        )
        notices = NotificationOps(notifications, lambda: settings.config.notify, lambda request: ops.handle(request))
        audit = Audit(store)
        sessions = SessionOps(pool, audit, lambda: self._started_at)
        history, samples = HistoryOps(pool, sessions.open), Samples(pool, metrics)
        moves = MoveOps(pool, lambda: self._node.name)
        ops = Ops(
            audit,
            [
                *system.rows(),
                *sessions.rows(),
                *MessageOps(pool, notices.push_reply).rows(),
                *history.rows(),
                *TerminalOps(pool, recorder).rows(),
                *notices.rows(),
                *DeskOps(pool, settings, samples, history.upkeep.library).rows(),
                *moves.rows(),
            ],
            moves.refuse,
        )
        self._tcp = self._tcp_endpoint(log)
        endpoints: list[Endpoint] = [LocalEndpoint(self._paths.request_address, self._paths.event_address)]
        bus = Bus(
            endpoints + ([self._tcp] if self._tcp else []), ops.handle, log, with_effect("looks"), ops.audit.permit
        )
        publisher = Publisher(store.head(), log)
        for name, subscriber in (
            ("bus", bus.publish),
            ("metrics", metrics.take),
            ("feed", feed.offer),
            ("notifications", notifications.offer),
        ):
            publisher.subscribe(name, subscriber)
        store.publish = publisher.publish
        parts = Parts(services, settings, pool, health, notifications, feed, viewers, recorder, history, bus, publisher)
        health.background += self._upkeep(parts, ownership, metrics, samples)
        return parts

    def _upkeep(
        self, parts: Parts, ownership: Ownership, metrics: Metrics, samples: Samples
    ) -> list[tuple[str, Callable[[], bool]]]:
        """The tasks of a health pass, each with the word for what it has mended."""
        made_anew = (
            ("bus_rebound", parts.bus.restore),
            ("viewers_rebound", parts.viewers.restore),
            ("lock_renewed", ownership.restore),
        )
        return [
            ("run_dir_renewed", self._paths.restore),
            *((name, partial(self._in_run_dir, restore)) for name, restore in made_anew),
            ("", metrics.note_pass),
            ("", samples.take),
            ("", Retention(parts.pool).tidy),
            ("", Transcripts(parts.pool).keep),
            ("", parts.services.store.release_memory),
            ("", resources.release_memory),
        ]

    async def _take_up(self, parts: Parts, loss: Loss | None) -> None:
        """Say that we are here, and take up what the last supervisor has left."""
        services, pool = parts.services, parts.pool
        store, log = services.store, services.log
        parts.feed.catch_up()
        if (change := store.migration) is not None:
            fields = {"from": change.before, "to": change.after, "copy": str(change.copy)}
            log.info("database_changed", extra={"fields": fields})
        if loss is not None:
            log.error("database_damaged", extra={"fields": {"movedTo": str(loss.moved_to), "why": loss.reason}})
            restore(store, loss, self._paths, services.claude_home)
        store.append(service_events.Started(pid=os.getpid(), version=__version__))
        parts.settings.report_unusable(log)
        attachments.sweep(
            self._paths.home, self._paths.sessions_dir, lambda message: store.message(message) is not None
        )
        arrivals.sweep(self._paths.moves_dir, store)
        outcomes = await pool.recover()
        parts.notifications.seed({s.id: s.waiting.id for s in pool.sessions() if s.waiting is not None})
        resources.keep_for_good()
        log.info("supervisor_ready", extra={"fields": {"pid": os.getpid(), **outcomes}})
        self._ready = True

    def _work(self, parts: Parts) -> list[tuple[str, Coroutine[Any, Any, Any]]]:
        """What runs side by side until the end; when one of them ends, all do."""
        services, bus = parts.services, parts.bus
        return [
            ("bus", bus.serve()),
            ("tick", bus.tick(services.store.epoch, lambda: parts.publisher.head, self._node.id)),
            ("pool", parts.pool.run()),
            ("health", parts.health.run()),
            ("feed", parts.feed.run()),
            ("notifications", parts.notifications.run()),
            ("verification", services.store.verify_rest()),
            ("index", parts.history.upkeep.run()),
            ("viewers", parts.viewers.serve()),
            ("recorder", parts.recorder.run()),
            ("access", AccessWatch(services.store, self._paths, services.log).run()),
            ("version", self._learn_version(parts.pool)),
            ("watchdog", _feed_watchdog()),
        ]

    def _in_run_dir(self, restore: Callable[[], bool]) -> bool:
        """Make something anew in the run directory, unless another user has made that meanwhile: raise Unavailable."""
        self._paths.check_run_dir()
        return restore()

    async def _learn_version(self, pool: Pool) -> None:
        """Ask the CLI for its version now and then: it may be updated under us."""
        while True:
            self._version = await claude_version(pool)
            await asyncio.sleep(VERSION_EVERY_SECONDS)

    def _facts(self, pool: Pool) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "startedAt": self._started_at,
            "node": NodeView(id=self._node.id, name=self._node.name),
            "epoch": pool.store.epoch,
            "ready": self._ready,
            "demo": pool.services.demo,
            "claudeVersion": self._version,
            "busTcp": self._tcp.facts() if self._tcp else None,
            **self._look_for_claude(pool),
        }

    def _tcp_endpoint(self, log: logging.Logger) -> TcpEndpoint | None:
        return TcpEndpoint(self.config.bus, BusKeyring(self._paths), log) if self.config.bus.tcp_host else None

    def _look_for_claude(self, pool: Pool) -> dict[str, Any]:
        """Where the CLI is; looked up at most once a second, since it walks PATH."""
        at, found = self._claude
        if not found or time.monotonic() - at > LOOKUP_SECONDS:
            found = claude_facts(pool)
            self._claude = (time.monotonic(), found)
        return found

    async def _shutdown(self, pool: Pool, sessions: bool) -> int:
        stopped = await pool.stop_all("shutdown") if sessions else 0
        asyncio.get_running_loop().call_later(0.2, self._done.set)
        return stopped


async def _feed_watchdog() -> None:
    """Tell systemd that the loop turns, thrice as often as it asks for: a supervisor that hangs is ended and started again, and
    no session notices."""
    seconds = watchdog_seconds()
    while True:
        if seconds is not None:
            notify(ALIVE)
        await asyncio.sleep(3600.0 if seconds is None else seconds / 3)


async def _close(parts: Parts) -> None:
    """Leave everything as the next supervisor finds it; no session is touched."""
    services, pool = parts.services, parts.pool
    with suppress(StorageFailed):
        forgive(pool.sessions())
    await pool.close()
    await services.spares.close()
    with suppress(StorageFailed):
        services.store.append(service_events.Stopped(pid=os.getpid()))
    services.log.info("supervisor_stopped", extra={"fields": {"pid": os.getpid()}})
    parts.publisher.flush()
    parts.bus.close()
    services.store.close()


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel until all are over: `asyncio.wait_for` of Python 3.11 may swallow a cancellation (python/cpython#86296)."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_SECONDS)


def run_daemon(paths: Paths, environment: Mapping[str, str]) -> int:
    """Run a supervisor in this process. Return the exit status; print what is wrong as one sentence. When damage is found in the
    database beside the work, it begins anew, which puts it aside; systemd, which was told that it ends, does that itself."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return asyncio.run(_run(paths, environment))
    except PilotlightError as error:
        print(f"pilotlight supervisor: {error.message}", file=sys.stderr)
        if isinstance(error, Damaged) and verification.suspected(paths.database) and not announced():
            sys.stderr.flush()
            os.execv(sys.executable, sys.orig_argv)  # the same process, as whoever started it sees it
    except OSError as error:
        print(f"pilotlight supervisor: {error.filename or 'a file'} cannot be used: {error.strerror}.", file=sys.stderr)
    return 1


async def _run(paths: Paths, environment: Mapping[str, str]) -> int:
    return await Daemon(paths, environment).run()
