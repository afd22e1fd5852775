"""A pilotlight of its own for one benchmark, and the figures that every benchmark prints.

The house is the one that the tests use: real supervisor, API, holders and CLI against the scripted model, in a temporary
folder, ended and checked for leftovers at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from demo.server import DemoModel
from shared.config import validate
from supervisor.claude import command_line
from supervisor.pool import resources
from tests.harness import VERSIONS, House, claude_binary

MEGABYTE = 1024 * 1024
LEFT: list[str] = []
"""What the houses of this run left behind."""


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    made = argparse.ArgumentParser(prog=f"python -m bench {name}", description=description)
    made.add_argument("--release", default=VERSIONS[-1], help="which pinned CLI (default: %(default)s)")
    made.add_argument("--json", action="store_true", help="print the figures as JSON")
    return made


@contextmanager
def open_house(
    release: str, config: dict[str, Any] | None = None, api: bool = True, claude: Path | None = None
) -> Iterator[House]:
    """A running house; what is left over at the end goes into `LEFT`, and `finish` fails for it."""
    folder = Path(tempfile.mkdtemp(prefix="plb-"))
    model = DemoModel(port=0)
    model.start()
    house = House(folder, model, claude or claude_binary(release))
    house.config.update(config or {})
    try:
        house.start_supervisor()
        if api:
            house.start_api()
        yield house
    finally:
        LEFT.extend(house.down())
        model.stop()
        shutil.rmtree(folder, ignore_errors=True)


def bare_environment(house: House) -> dict[str, str]:
    """What the CLI gets when a benchmark starts it by itself: the house's own, and a place for what it would leave in the
    machine's temporary folder."""
    claude = validate({"claude": house.config["claude"]}, "bench").claude
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(house.claude_home)}
    scratch = house.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return command_line.environment(claude, own) | {"TMPDIR": str(scratch)}


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]


def memory_mb(pid: int) -> float:
    """Proportional memory of one process in MB."""
    return resources.memory_of(pid) / MEGABYTE


def cpu_seconds(root: int) -> float:
    """CPU of a process and of all below it, those that have ended and were waited for included."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in (found := psutil.Process(root), *found.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def private_mb(pid: int) -> float:
    """Memory that is this process's alone, in MB: its share of common pages changes with what others do."""
    return float(psutil.Process(pid).memory_full_info().uss) / MEGABYTE


class Progress:
    """A line on standard error now and then, for what takes longer than two seconds."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._said = time.monotonic()

    def at(self, done: int) -> None:
        """Say how far it is."""
        if time.monotonic() - self._said >= 5.0 or done == self._total:
            self._said = time.monotonic()
            print(f"  {self._what}: {done} of {self._total}", file=sys.stderr, flush=True)


def finish(title: str, figures: dict[str, Any], verdicts: dict[str, bool], as_json: bool) -> int:
    """Print the table (or JSON) and return the exit status: 0 only when every verdict holds and nothing is left."""
    verdicts = {**verdicts, "nothing is left behind": not LEFT}
    print("\n".join(LEFT), file=sys.stderr) if LEFT else None
    if as_json:
        print(json.dumps({"bench": title, "figures": figures, "verdicts": verdicts}, indent=2))
    else:
        print(f"\n{title}")
        for name, value in figures.items():
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            print(f"  {name:<46} {shown:>14}")
        for name, holds in verdicts.items():
            print(f"  {'PASS' if holds else 'FAIL'}  {name}")
    return 0 if all(verdicts.values()) else 1
