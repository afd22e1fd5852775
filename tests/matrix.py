"""Every set-up of a person's, on every release: the same day in each of the houses, and a table of how it went.

    python -m tests.matrix [--release R | --claude PATH] [--only NAME] [--json]

`--release` is a pinned release, any other (npm installs it) or `latest`; without it both pinned ones. It takes minutes: a
run of the tests lives through a few of the cells only (`tests/real/test_matrix.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cli.setup.claude import PACKAGE, install
from shared.errors import Conflict
from shared.releases import TESTED
from tests.account import account
from tests.harness import House, claude_binary, until
from tests.houses import house_of
from tests.set_ups import RECALL, SET_UPS, WORD, SetUp

AT_ONCE = 2
PATIENT = 90.0
"""A conversation of 300 MB is read in some seconds, on a machine that has others to serve."""


class Day:
    """One session of one house, from its first word to what outlives a supervisor."""

    def __init__(self, house: House, set_up: SetUp) -> None:
        self.house, self.set_up = house, set_up
        self.session = ""
        self.steps: dict[str, Callable[[], None]] = {
            "BANANA": self.remembers,
            "permission": self.is_allowed,
            "interrupt": self.is_interrupted,
            "hibernate, wake": self.sleeps,
            "supervisor kill": self.outlives_the_supervisor,
        }

    def begin(self) -> None:
        """The house as its person has it, and a session in it."""
        wanted = self.set_up.furnish(self.house) or {}
        self.house.start_supervisor()
        made = self.house.call(
            "session.create", {"projectPath": str(self.house.project), **wanted, "wait": PATIENT}, 120
        )
        self.session = made["id"]

    def says(self, text: str, reply: str) -> None:
        said = self.house.ask(text, self.session, wait=PATIENT)[0]
        assert said == (self.set_up.every_reply or reply), said

    def remembers(self) -> None:
        self.says(f"Remember the word {WORD}", f"I will remember the word {WORD}.")
        self.says(RECALL, WORD)
        self.set_up.opening(self.house, self.session)

    def send(self, text: str) -> str:
        return str(self.house.send(text, self.session, wait=0)["message"]["id"])

    def is_allowed(self) -> None:
        message = self.send(self.set_up.asks(self.house))
        waiting = until(lambda: self.house.session(self.session)["waiting"], "Claude asks")
        choice = "allow" if waiting["id"].startswith("p_") else waiting["choices"][0]["id"]
        answer = {"sessionId": self.session, "waitingId": waiting["id"], "choice": choice}
        self.house.call("session.answer", answer)
        settled = self.house.message(message, wait=PATIENT)
        assert settled["state"] == "answered", settled
        assert (self.house.project / "made").exists() or not self.set_up.makes, "it was allowed and not done"

    def is_interrupted(self) -> None:
        message = self.send("[[gate held]] echo: never said")
        assert self.house.model.wait_for_gate("held", PATIENT), "the prompt has not arrived"
        until(lambda: self.house.message(message)["state"] == "submitted", "the prompt is proven")
        self.house.call("session.interrupt", {"sessionId": self.session})
        settled = self.house.message(message, wait=PATIENT)
        assert settled["state"] == "interrupted", settled
        self.house.until_state(self.session, "idle")

    def sleeps(self) -> None:
        self.set_up.before_rest(self.house, self.session)

        def asleep() -> bool:
            try:
                return bool(self.house.call("session.hibernate", {"sessionId": self.session})["state"] == "hibernated")
            except Conflict:
                return False  # what has ended a moment ago is still told of

        until(asleep, "the session sleeps")
        self.says(RECALL, WORD)

    def outlives_the_supervisor(self) -> None:
        message = self.send("[[gate dies]] echo: survived")
        assert self.house.model.wait_for_gate("dies", PATIENT), "the prompt has not arrived"
        self.house.kill_supervisor()
        self.house.start_supervisor()
        self.house.model.release("dies")
        settled = self.house.message(message, wait=PATIENT)
        told = (settled["state"], settled["reply"])
        assert told == ("answered", self.set_up.every_reply or "survived"), settled
        self.says(RECALL, WORD)


@dataclass
class Cell:
    """How one set-up fared on one release."""

    release: str
    set_up: str
    seconds: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    """The step; `leftovers` when it is what remained."""
    why: str = ""

    def row(self) -> str:
        """Its line of the table."""
        steps = [f"{self.seconds[name]:4.0f} s" if name in self.seconds else "     -" for name in STEPS]
        return (
            f"{self.release:9} {self.set_up:35} {'  '.join(steps)}  {f'FAILED: {self.failed}' if self.failed else 'ok'}"
        )


STEPS = ("begin", "BANANA", "permission", "interrupt", "hibernate, wake", "supervisor kill")


def live(release: str, claude: Path, set_up: SetUp) -> Cell:
    """One cell: the day of this set-up on this release. It ends at the first step that fails."""
    cell = Cell(release, set_up.name)
    try:
        with house_of(claude) as house:
            day = Day(house, set_up)
            for name, step in {"begin": day.begin, **day.steps}.items():
                start = time.monotonic()
                try:
                    step()
                except Exception as error:
                    cell.failed, cell.why = name, f"{type(error).__name__}: {error}\n{account(house)}"
                    break
                cell.seconds[name] = time.monotonic() - start
    except AssertionError as error:
        cell.failed = cell.failed or "leftovers"
        cell.why += f"\n{error}"
    return cell


def newest() -> str:
    """The newest release on the registry."""
    said = subprocess.run(["npm", "view", PACKAGE, "version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[-1]


def programs(release: str | None, claude: Path | None) -> dict[str, Path]:
    """The releases that were asked for, by name."""
    if claude is not None:
        return {"other": claude.absolute()}
    if release is None:
        return {version: claude_binary(version) for version in TESTED}
    version = newest() if release == "latest" else release
    return {version: install(version)}


def main(arguments: list[str] | None = None) -> int:
    """Live through all cells and print the table; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--release")
    parser.add_argument("--claude", type=Path)
    parser.add_argument("--only", metavar="NAME", help="set-ups with this in their name")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    wanted = [set_up for set_up in SET_UPS if (given.only or "").lower() in set_up.name.lower()]
    if not wanted:
        parser.error(f"no set-up has {given.only!r} in its name")
    cells: list[Cell] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = programs(given.release, given.claude)
        running = [pool.submit(live, name, path, set_up) for set_up in wanted for name, path in found.items()]
        for number, done in enumerate(as_completed(running), start=1):
            cells.append(cell := done.result())
            print(f"{number:3}/{len(running)} {cell.row()}", file=sys.stderr, flush=True)
            if cell.failed:
                print(cell.why, file=sys.stderr, flush=True)
    report(cells, given.json)
    return int(any(cell.failed for cell in cells))


def report(cells: list[Cell], as_json: bool) -> None:
    """The table, by release."""
    order = {set_up.name: place for place, set_up in enumerate(SET_UPS)}
    cells.sort(key=lambda cell: (cell.release, order[cell.set_up]))
    if as_json:
        rows: list[dict[str, Any]] = [asdict(cell) for cell in cells]
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':45} {'  '.join(name[:6].rjust(6) for name in STEPS)}")
    for cell in cells:
        print(cell.row())


if __name__ == "__main__":
    sys.exit(main())
