"""Steps that a person can watch: what is being done, for how long, and the end of the log when it fails.

Standard library only: the set-up of a fresh machine uses it before anything is installed. Everything goes to standard
error, so that standard output stays the result. On a terminal one line counts the seconds; elsewhere a line is printed
at the start, every ten seconds, and at the end.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

HEARTBEAT_SECONDS = 10.0
BRIEF_SECONDS = 2.0
_POLL_SECONDS = 0.1


class StepFailed(Exception):
    """A step did not succeed; the text says why and what to do."""


class Step:
    """One step on the screen; call `tick` while it lasts. `brief`: worth a word only when it takes long."""

    def __init__(self, title: str, stream: TextIO | None = None, *, brief: bool = False) -> None:
        self._title = title
        self._brief = brief
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._start = self._said = time.monotonic()
        self._note = ""

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._start

    def __enter__(self) -> Step:
        if self._live or not self._brief:
            self._write(f"{self._title} …" if self._live else f"{self._title} …\n")
        return self

    def tick(self) -> None:
        """Show that it goes on."""
        now = time.monotonic()
        if self._brief and not self._live and self.seconds >= BRIEF_SECONDS:
            self._brief = False
            self._write(f"{self._title} …\n")
        if now - self._said < (1.0 if self._live else HEARTBEAT_SECONDS):
            return
        self._said = now
        self._write(f"\r{self._title} … {self.seconds:.0f} s" if self._live else f"  … {self.seconds:.0f} s\n")

    def note(self, text: str) -> None:
        """What to say at the end instead of "done"."""
        self._note = text

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._brief:
            self._write("\r\x1b[K" if self._live else "")
            return
        text = "interrupted" if kind is KeyboardInterrupt else "failed" if kind else self._note or "done"
        took = f" ({self.seconds:.1f} s)" if self.seconds >= 1 else ""
        self._write(f"\r\x1b[K{self._title}: {text}{took}\n" if self._live else f"{self._title}: {text}{took}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def wait_until(step: Step, ready: Callable[[], bool], seconds: float) -> bool:
    """Poll `ready` until it is true (True) or the time is over (False)."""
    deadline = time.monotonic() + seconds
    while True:
        if ready():
            return True
        if time.monotonic() >= deadline:
            return False
        step.tick()
        time.sleep(_POLL_SECONDS)


def run_step(
    title: str, command: Sequence[str | Path], log: Path, *, fix: str, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program with its output in `log`. Raise StepFailed with the end of that log, and `fix`, when it fails."""
    with Step(title) as step, log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                step.tick()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode:
            raise StepFailed(f"{title} failed. {fix}\n{last_lines(log)}")


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented; empty when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines)
