"""The two processes that `up` starts and `down` stops: detached, in sessions of their own, healthy when they answer.

`up` is parent of both only while it stays in the foreground; neither minds losing it. What must not regress: no
terminal and no process group is shared with them (Ctrl-C is for `up`), and their output goes to files that a person can
find.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cli.context import App, client
from cli.daemons.own_api import healthy
from cli.owners import Owner, owner, stop
from cli.setup.bootstrap import ROOT
from cli.setup.progress import Step, last_lines, wait_until
from shared.errors import PilotlightError, StartFailed

HEALTHY_SECONDS = 30.0
STOP_SECONDS = 15.0
_LOG_LIMIT_BYTES = 5_000_000
_PROBE_SECONDS = 1.0


@dataclass
class Daemon:
    """The supervisor or the API of one home."""

    app: App
    name: str
    extra: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return "API" if self.name == "api" else self.name

    @property
    def log(self) -> Path:
        """Where its standard output and error go."""
        return self.app.paths.log_dir / f"{self.name}.out"

    def owner(self) -> Owner | None:
        """The process that holds this daemon's lock."""
        paths = self.app.paths
        return owner(paths.supervisor_lock if self.name == "supervisor" else paths.api_lock)

    def further(self) -> list[Owner]:
        """APIs that run beside the home's own, on other ports."""
        locks = sorted(self.app.paths.run_dir.glob("api-*.lock")) if self.name == "api" else []
        return [found for lock in locks if (found := owner(lock)) is not None]

    def start(self) -> None:
        """Start the process; `wait_healthy` says whether it lives."""
        self.child = spawn(self.app, self.name, self.log, self.extra)

    def wait_healthy(self, title: str, seconds: float = HEALTHY_SECONDS) -> None:
        """Wait until it answers; raise StartFailed with the end of its log when it ends first, or does not answer."""
        with Step(title) as step:
            if not wait_until(step, lambda: self._gone() or self.answers(), seconds):
                raise self._failure(f"did not answer within {seconds:.0f} s")
            if self._gone():
                assert self.child is not None
                raise self._failure(f"stopped at once (exit status {self.child.returncode})")

    def answers(self) -> bool:
        """Whether it is there and healthy."""
        holder = self.owner()
        if holder is None:
            return False
        if self.name == "api":
            return holder.url is not None and healthy(holder.url, self.app, _PROBE_SECONDS * 2)
        bus = client(self.app.paths)
        try:
            bus.call("ping", timeout=_PROBE_SECONDS)
        except PilotlightError:
            return False
        finally:
            bus.close()
        return True

    def stop(self) -> bool:
        """SIGTERM, time to finish, then SIGKILL. Whether there was anything to stop."""
        holder = self.owner()
        for each in ([holder] if holder is not None else []) + self.further():
            stop(each.process, signal.SIGTERM, STOP_SECONDS) or stop(each.process, signal.SIGKILL, STOP_SECONDS)
        if self.child is not None:
            if self.child.poll() is None:
                self.child.terminate()
            self.child.wait()
        return holder is not None or self.child is not None

    def _gone(self) -> bool:
        return self.child is not None and self.child.poll() is not None

    def _failure(self, how: str) -> StartFailed:
        lines = last_lines(self.log)
        told = f" The end of {self.log}:\n{lines}" if lines else f" {self.log} is empty."
        return StartFailed(f"The {self.title} {how}.{told}", code=f"{self.name}_failed")


def spawn(app: App, module: str, log: Path, extra: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments`, detached, with its output appended to `log`."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    environment = {**app.environment, **extra}
    if environment.get("PILOTLIGHT_HOME"):
        environment["PILOTLIGHT_HOME"] = str(app.paths.home)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def http_ok(url: str) -> bool:
    """Whether this address answers 200, asked directly (a proxy cannot reach loopback)."""
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_PROBE_SECONDS * 2) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False
