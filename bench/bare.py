"""The CLI by itself, driven in a pty: what pilotlight is compared with."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pexpect

from supervisor.claude import screen as dialogs
from supervisor.terminal.screen import Screen

READY_SECONDS = 30.0
SCRAPE_SECONDS = 0.05


def resume_seconds(claude: Path, env: dict[str, str], cwd: Path, conversation: str) -> float:
    """Seconds from the start of `claude --resume` to its prompt box."""
    settings = json.dumps({"tui": "default"})
    words = ["--settings", settings, "--permission-mode", "default", "--resume", conversation]
    return seconds_to_box([str(claude), *words], env, cwd)


def seconds_to_box(argv: list[str], env: dict[str, str], cwd: Path) -> float:
    """Seconds from the start of this command to its prompt box. Raise TimeoutError without one."""
    screen = Screen(120, 40)
    started = time.monotonic()
    child = pexpect.spawn(argv[0], argv[1:], env=env, cwd=str(cwd), dimensions=(40, 120), timeout=READY_SECONDS)
    try:
        while time.monotonic() - started < READY_SECONDS:
            if select.select([child.child_fd], [], [], 0.05)[0]:
                screen.feed(os.read(child.child_fd, 65536))
            if dialogs.read(screen.lines(), screen.cursor, screen.is_faint).kind == "prompt":
                return time.monotonic() - started
        raise TimeoutError(f"no prompt box after {READY_SECONDS:g} s:\n{screen.text()}")
    finally:
        with contextlib.suppress(pexpect.ExceptionPexpect, OSError):
            child.close(force=True)
        screen.close()


class Tmux:
    """The CLI in a tmux pane that is looked at every 50 ms, as those do it who have nothing better."""

    def __init__(self, claude: Path, env: dict[str, str], cwd: Path, folder: Path) -> None:
        self._env, self._socket = env, str(folder / "tmux.sock")
        settings = json.dumps({"tui": "default"})
        program = [str(claude), "--settings", settings, "--permission-mode", "default"]
        self._run("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", str(cwd), *program)
        self._await("\u276f", 1, READY_SECONDS)
        self.ask("warm")

    @staticmethod
    def is_there() -> bool:
        """Whether tmux is installed."""
        return shutil.which("tmux") is not None

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, *arguments]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True, timeout=10).stdout

    def _await(self, text: str, times: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (pane := self._run("capture-pane", "-p")).count(text) < times:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} is not {times} times on the pane:\n{pane}")
            time.sleep(SCRAPE_SECONDS)

    def ask(self, word: str) -> float:
        """Milliseconds from the paste until the reply is on the pane, which has the prompt above it."""
        started = time.monotonic()
        self._run("set-buffer", f"echo: {word}")
        self._run("paste-buffer", "-p")
        self._await(word, 1, 5.0)
        self._run("send-keys", "Enter")
        self._await(word, 2, 30.0)
        return 1000 * (time.monotonic() - started)

    def close(self) -> None:
        """End it."""
        self._run("kill-server")
