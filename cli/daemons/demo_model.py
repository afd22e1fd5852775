"""The demo model process of one home: found again, restarted on the same port, and a home that remembers that it is a demo.

Live sessions hold the address of the model in their environment, so it has to come back where it was.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cli.context import App
from cli.daemons.processes import http_ok, spawn
from cli.owners import stop
from cli.setup.progress import Step, last_lines, wait_until
from demo.home import demo_environment, prepare_home
from shared.claude_names import STATE_FILE
from shared.errors import StartFailed
from shared.process import ProcessId, alive, identify

START_SECONDS = 15.0


class _Record(msgspec.Struct, rename="camel"):
    pid: int
    start_time: int
    port: int


@dataclass(frozen=True)
class DemoModel:
    """What `--demo` adds to one home, all of it below `<home>/demo`."""

    app: App

    @property
    def folder(self) -> Path:
        """Everything of the demo."""
        return self.app.paths.home / "demo"

    def wanted(self) -> bool:
        """Whether this home was started with `--demo`; it stays so until `up --no-demo`."""
        return (self.folder / "mode").exists()

    def environment(self) -> dict[str, str]:
        """What the supervisor is told; starts the model when it does not run."""
        home = self.folder / "home"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (home / STATE_FILE).exists():  # a live CLI rewrites this file: never again after the first time
            prepare_home(home)
            home.chmod(0o700)
        (self.folder / "mode").write_text("demo\n")
        return {"PILOTLIGHT_DEMO": msgspec.json.encode(demo_environment(home, self.ensure())).decode()}

    def running(self) -> ProcessId | None:
        """The model's process."""
        record = self._record()
        process = None if record is None else ProcessId(record.pid, record.start_time)
        return process if process is not None and alive(process) else None

    def ensure(self) -> str:
        """The model's address; starts it, on the port it had before if there was one. Raise StartFailed."""
        record = self._record()
        if record is not None and self.running() and http_ok(f"{_url(record.port)}/_demo/health"):
            return _url(record.port)
        self.stop()
        return self._start(record.port if record else 0)

    def stop(self) -> bool:
        """End the model's process. Whether there was one."""
        process = self.running()
        if process is None:
            return False
        return stop(process, signal.SIGTERM, 5) or stop(process, signal.SIGKILL, 5)

    def forget(self) -> None:
        """Let the next start choose another port."""
        (self.folder / "model.json").unlink(missing_ok=True)

    def leave(self) -> None:
        """The next `up` is a plain one."""
        self.forget()
        (self.folder / "mode").unlink(missing_ok=True)

    def _start(self, port: int) -> str:
        log = self.app.paths.log_dir / "demo.out"
        log.unlink(missing_ok=True)
        child = spawn(self.app, "demo", log, {}, "--port", str(port))
        with Step("Starting the demo model") as step:
            wait_until(step, lambda: child.poll() is not None or _printed(log) is not None, START_SECONDS)
            url, process = _printed(log), identify(child.pid)
            if url is None or process is None:
                child.kill()
                child.wait()
                hint = f" Its port {port} may be taken: `pilotlight down --all` lets it choose another." if port else ""
                raise StartFailed(f"The demo model did not start.{hint}\n{last_lines(log)}", code="demo_failed")
        record = _Record(pid=process.pid, start_time=process.start_time, port=int(url.rsplit(":", 1)[1]))
        (self.folder / "model.json").write_bytes(msgspec.json.encode(record))
        return url

    def _record(self) -> _Record | None:
        try:
            return msgspec.json.decode((self.folder / "model.json").read_bytes(), type=_Record)
        except (OSError, msgspec.DecodeError):
            return None


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _printed(log: Path) -> str | None:
    try:
        lines = log.read_text().splitlines(keepends=True)
    except OSError:
        return None
    return next((line.strip() for line in lines if line.startswith("http://") and line.endswith("\n")), None)
