"""What it costs to do nothing: a hundred sleeping conversations and five live idle ones."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bench import lab
from tests.harness import House

BOUND_PERCENT = 1.0


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("idle", __doc__)
    parser.add_argument("--asleep", type=int, default=100)
    parser.add_argument("--awake", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release) as house:
        figures, verdicts = _idle(house, arguments)
    return lab.finish(f"idle, CLI {arguments.release}", figures, verdicts, arguments.json)


def _idle(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    progress = lab.Progress("sessions", arguments.asleep + arguments.awake)
    for number in range(arguments.asleep + arguments.awake):
        _, session = house.ask(f"echo: {number}", wait=120)
        if number < arguments.asleep:
            house.until_state(session, "idle")
            house.call("session.hibernate", {"sessionId": session})
        progress.at(number + 1)
    assert house.supervisor is not None
    assert house.api is not None
    before = _cpu(house.supervisor.pid), _cpu(house.api.pid)
    began = time.monotonic()
    time.sleep(arguments.seconds)
    took = time.monotonic() - began
    after = _cpu(house.supervisor.pid), _cpu(house.api.pid)
    shares = [100.0 * (late - early) / took for early, late in zip(before, after, strict=True)]
    figures = {
        "hibernated": arguments.asleep,
        "live and idle": arguments.awake,
        "supervisor, % of a core": shares[0],
        "API, % of a core": shares[1],
        "supervisor MB": lab.memory_mb(house.supervisor.pid),
        "API MB": lab.memory_mb(house.api.pid),
    }
    return figures, {f"supervisor plus API under {BOUND_PERCENT:g} % of a core": sum(shares) < BOUND_PERCENT}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
