"""`up` in the foreground: the supervisor and the API are restarted when they die, and stopped when it is told to stop.

`pilotlight down` asks it to let go (SIGUSR1) and stops both itself, so that nothing is restarted behind its back.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click
import msgspec

from cli.context import App
from cli.daemons.demo_model import DemoModel
from cli.daemons.processes import Daemon
from cli.output import say
from cli.owners import Owner, live_holders, stop
from shared.access.private_files import draft_of
from shared.bus.messages import SupervisorStatus
from shared.errors import PilotlightError, StartFailed
from shared.process import ProcessId, alive, identify

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 60.0
_TURN_SECONDS = 0.3
_LET_GO_SECONDS = 5.0
_TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@dataclass
class Restarts:
    """When a daemon may be started again: 1, 2, 4 … 60 s apart, from the start after a minute of good health."""

    pause: float = 0.0
    started: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next start."""
        return max(0.0, self.started + self.pause - now)

    def note_start(self, now: float) -> None:
        """A start happens now."""
        calm = now - self.started >= self.pause + STABLE_SECONDS
        self.pause = FIRST_PAUSE_SECONDS if calm else min(self.pause * 2, LONGEST_PAUSE_SECONDS)
        self.started = now


def watch(app: App, *daemons: Daemon) -> int:
    """Stay until told to stop; return the exit code."""
    told: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {number: signal.signal(number, remember) for number in _TOLD}
    for daemon in daemons:
        _keep_port(daemon)
    _mark(app).unlink(missing_ok=True)
    _leave_mark(app)
    click.echo("Ctrl-C stops the supervisor and the API; live sessions stay.")
    try:
        _tend(app, daemons, told)
    finally:
        _mark(app).unlink(missing_ok=True)
        if told[:1] == [signal.SIGUSR1]:
            click.echo("`pilotlight down` takes over.")
        else:
            stop_daemons(app, daemons)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def stop_daemons(app: App, daemons: tuple[Daemon, ...], err: bool = False) -> None:
    """Stop the API and the supervisor; say what stays (on standard error, if `err`)."""
    stays = live_sessions(app)
    for daemon in reversed(daemons):
        if daemon.stop():
            click.echo(f"Stopped the {daemon.title}.", err=err)
    if stays:
        many = "1 live session stays" if stays == 1 else f"{stays} live sessions stay"
        click.echo(f"{many}; the next `pilotlight up` adopts them, `pilotlight down --all` ends them.", err=err)


def live_sessions(app: App) -> int:
    """How many sessions have a process (the holders tell when the supervisor does not)."""
    if Daemon(app, "supervisor").owner() is not None:
        try:
            return sum(view.pid is not None for view in app.ask(SupervisorStatus, "status", timeout=3).sessions)
        except PilotlightError:
            pass
    return live_holders(app.paths)


def release_watcher(app: App) -> None:
    """Make a foreground `up` of this home leave without touching what it started."""
    try:
        watcher = msgspec.json.decode(_mark(app).read_bytes(), type=ProcessId)
    except (OSError, msgspec.DecodeError):
        return
    if alive(watcher) and not stop(watcher, signal.SIGUSR1, _LET_GO_SECONDS):
        stop(watcher, signal.SIGKILL, _LET_GO_SECONDS)
    _mark(app).unlink(missing_ok=True)


def _tend(app: App, daemons: tuple[Daemon, ...], told: list[int]) -> None:
    restarts = {daemon.name: Restarts() for daemon in daemons}
    missing: set[str] = set()
    model = DemoModel(app)
    while not told:
        _leave_mark(app)
        for daemon in daemons:
            if daemon.child is not None:
                daemon.child.poll()
            holder = _keep_port(daemon)
            if holder is not None or (daemon.child is not None and daemon.child.returncode is None):
                missing.discard(daemon.name)
                continue
            if daemon.name not in missing:
                missing.add(daemon.name)
                click.echo(f"The {daemon.title} has died; {daemon.log} may say why. Starting it again.", err=True)
            now = time.monotonic()
            if not restarts[daemon.name].wait(now):
                restarts[daemon.name].note_start(now)
                daemon.start()
        if model.wanted() and model.running() is None:
            try:
                model.ensure()
            except StartFailed as error:
                say(f"pilotlight: {error.message}", err=True)
        time.sleep(_TURN_SECONDS)


def _keep_port(daemon: Daemon) -> Owner | None:
    """Who holds its lock; where that one listens, the next one shall, too."""
    holder = daemon.owner()
    if holder is not None and holder.url:
        daemon.extra["PILOTLIGHT_PORT"] = holder.url.rsplit(":", 1)[1]
    return holder


def _leave_mark(app: App) -> None:
    """Say for `pilotlight down` who watches; again, if somebody deleted it, alone or with its folder."""
    with suppress(PilotlightError, OSError):
        app.paths.restore()
        mark = _mark(app)
        if not mark.exists():
            with draft_of(mark, msgspec.json.encode(identify(os.getpid()))) as draft:
                draft.replace(mark)


def _mark(app: App) -> Path:
    app.paths.check_run_dir()
    return app.paths.run_dir / "up.json"
