"""This tree beside the oldest supported commit: messages, streams and rest in turn, so that a noisy machine is noisy for both.

Both speak to the same scripted model and drive the same release of the CLI. A message is `POST /api/chat` until its reply; a
stream is from the request to the first and to the last piece of text; rest is the CPU of supervisor and API with five live
idle sessions each.
"""

from __future__ import annotations

import compileall
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import lab
from bench.idle import _cpu
from bench.latency import _chat
from demo.server import DemoModel
from tests.event_stream import Stream
from tests.harness import ROOT, House, claude_binary

OLDEST = ROOT / "tests" / "faults" / "releases" / "2bb5f8a.tar.xz"
SLOWER = 1.05
"""By how much this tree may be slower."""

IDLE_SLACK = 0.1
"""Percent of a core that both may differ by at rest, where a tick of the kernel's clock is most of what is seen."""


class OldHouse(House):
    """A house whose programs are those of another tree."""

    tree: Path

    def environment(self) -> dict[str, str]:
        """As its own, with the other tree in front."""
        return super().environment() | {"PYTHONPATH": str(self.tree)}


@contextmanager
def both(release: str) -> Iterator[dict[str, House]]:
    """A running house of each tree."""
    with lab.open_house(release) as ours:
        folder = ours.folder / "oldest"
        tree = folder / "tree"
        tree.mkdir(parents=True)
        with tarfile.open(OLDEST) as archive:
            archive.extractall(tree, filter="data")
        compileall.compile_dir(tree, quiet=1)
        model = DemoModel(port=0)
        model.start()
        old = OldHouse(folder, model, claude_binary(release))
        old.tree = tree
        try:
            old.start_supervisor()
            old.start_api()
            yield {"oldest": old, "this": ours}
        finally:
            lab.LEFT.extend(old.down())
            model.stop()


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("beside", __doc__)
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--streams", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=30.0, help="of rest")
    arguments = parser.parse_args(argv)
    with both(arguments.release) as houses:
        figures, verdicts = _measure(houses, arguments)
    return lab.finish(f"beside 2bb5f8a, CLI {arguments.release}", figures, verdicts, arguments.json)


def _measure(houses: dict[str, House], arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    sessions = {name: _chat(house, "echo: warm", None)[0]["sessionId"] for name, house in houses.items()}
    took: dict[str, dict[str, list[float]]] = {}

    def note(what: str, name: str, value: float) -> None:
        took.setdefault(what, {}).setdefault(name, []).append(value)

    progress = lab.Progress("messages", arguments.messages)
    for number in range(arguments.messages):
        for name, house in _in_turn(houses, number):
            note("message, ms", name, _chat(house, f"echo: message {number:04d}", sessions[name])[1])
        progress.at(number + 1)
    for number in range(arguments.streams):
        for name, house in _in_turn(houses, number):
            first, last = _stream(house, sessions[name])
            note("first text of a stream, ms", name, first)
            note("last text of a stream, ms", name, last)
    figures: dict[str, Any] = {}
    verdicts: dict[str, bool] = {}
    for what, values in took.items():
        old, new = (lab.percentile(values[name], 50) for name in ("oldest", "this"))
        figures |= {f"{what} p50, 2bb5f8a": old, f"{what} p50, this tree": new, f"{what}: this / 2bb5f8a": new / old}
        verdicts[f"{what}: at most {SLOWER:g} x 2bb5f8a"] = new <= SLOWER * old
    rest = _rest(houses, arguments.seconds)
    figures |= {f"at rest, % of a core, {name}": value for name, value in rest.items()}
    verdicts[f"at rest: at most {SLOWER:g} x 2bb5f8a"] = rest["this"] <= SLOWER * rest["oldest"] + IDLE_SLACK
    return figures, verdicts


def _in_turn(houses: dict[str, House], number: int) -> list[tuple[str, House]]:
    """One after the other, each first as often as second."""
    items = list(houses.items())
    return items if number % 2 == 0 else items[::-1]


def _stream(house: House, session: str) -> tuple[float, float]:
    prompt = "[[stream 0.6]] echo: " + "a line of text\n" * 12 + "the end"
    began = time.monotonic()
    with Stream(house, "/api/chat", {"message": prompt, "sessionId": session}) as stream:
        texts = [frame.at for frame in stream if frame.kind == "text"]
    return 1000 * (texts[0] - began), 1000 * (texts[-1] - began)


def _rest(houses: dict[str, House], seconds: float) -> dict[str, float]:
    for house in houses.values():
        for number in range(4):
            house.ask(f"echo: {number}", wait=120)
    time.sleep(5)

    def used(house: House) -> float:
        assert house.supervisor is not None
        assert house.api is not None
        return _cpu(house.supervisor.pid) + _cpu(house.api.pid)

    before = {name: used(house) for name, house in houses.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: 100.0 * (used(house) - before[name]) / passed for name, house in houses.items()}
