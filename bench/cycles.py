"""A thousand sessions started and ended, with the scripted TUI: descriptors, ptys, threads and memory stay where they were."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench import lab
from tests.harness import ROOT, House, until

GROWTH = 0.05
WARM = 0.5
"""Which part of the cycles goes by before the first count."""


HEALTH_SECONDS = 5.0
SETTLE_SECONDS = 3 * HEALTH_SECONDS
"""Before each count: sessions that have ended are forgotten by the health pass, some time after their end."""


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("cycles", __doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    arguments = parser.parse_args(argv)
    config = {"health": {"interval_seconds": HEALTH_SECONDS}}
    with tempfile.TemporaryDirectory(prefix="plf-") as name:
        folder = Path(name)
        fake = folder / "claude"
        (folder / "script.json").write_text("{}")
        settings = f"FAKE_TUI_SCRIPT={folder}/script.json FAKE_TUI_LOG={folder}/log.jsonl"
        program = ROOT / "tests" / "fake_tui.py"
        fake.write_text(f'#!/bin/sh\n{settings} exec {sys.executable} {program} "$@"\n')
        fake.chmod(0o755)
        with lab.open_house(arguments.release, config, api=False, claude=fake) as house:
            figures, verdicts = _cycles(house, arguments.cycles)
    return lab.finish("cycles, scripted TUI", figures, verdicts, arguments.json)


def _cycles(house: House, cycles: int) -> tuple[dict[str, Any], dict[str, bool]]:
    assert house.supervisor is not None
    pid = house.supervisor.pid
    progress = lab.Progress("cycles", cycles)
    before: dict[str, float] = {}
    warm = max(1, int(cycles * WARM))
    for number in range(1, cycles + 1):
        session = house.call("session.create", {"projectPath": str(house.project)})["id"]
        house.until_state(session, "idle")
        house.call("session.kill", {"sessionId": session})
        if number == warm:
            time.sleep(SETTLE_SECONDS)
            before = _count(house, pid)
        progress.at(number)
    until(lambda: not _others(house, pid), "all processes gone")
    time.sleep(SETTLE_SECONDS)
    after = _count(house, pid)
    figures = {f"{name}, after {warm}": value for name, value in before.items()}
    figures |= {f"{name}, after {cycles}": value for name, value in after.items()}
    verdicts = {
        f"{name} flat": after[name] <= before[name] + (2 if name != "memory MB" else before[name] * GROWTH)
        for name in before
    }
    return figures, verdicts


def _others(house: House, pid: int) -> list[int]:
    """Processes of the house apart from the supervisor and what is its own child, as the holder that waits to be one."""
    found = []
    for one in house.marked():
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid not in (one.pid, psutil.Process(one.pid).ppid()):
                found.append(one.pid)
    return found


def _count(house: House, pid: int) -> dict[str, float]:
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "ptys": int(Path("/proc/sys/kernel/pty/nr").read_text()),
        "memory MB": lab.private_mb(pid),
        "sockets": len(list((house.paths.run_dir / "h").iterdir())),
    }
