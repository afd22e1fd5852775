"""The CLI by itself, driven in a pty: what pilotlight is compared with."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from pathlib import Path

import pexpect

from supervisor.claude import screen as dialogs
from supervisor.terminal.screen import Screen

READY_SECONDS = 30.0


def resume_seconds(claude: Path, env: dict[str, str], cwd: Path, conversation: str) -> float:
    """Seconds from the start of `claude --resume` to its prompt box."""
    screen = Screen(120, 40)
    settings = json.dumps({"tui": "default"})
    started = time.monotonic()
    child = pexpect.spawn(
        str(claude),
        ["--settings", settings, "--permission-mode", "default", "--resume", conversation],
        env=env,
        cwd=str(cwd),
        dimensions=(40, 120),
        timeout=READY_SECONDS,
    )
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
