"""How near to the bare CLI: messages of three kinds until `answered` and until `replied`, a stream, and rest; in time and in CPU.

In turn, message by message, beside the same CLI driven raw in a pty (a paste, Enter, the Stop hook) and, where it is installed, a
tmux pane looked at every 50 ms. Raw has two for our two: what a message costs grows with the conversation. CPU is that of all
processes, hooks included. Exit code 1 when a bound does not hold.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench import bare, lab
from bench.latency import Raw, Spent, _chat, _note_steps, _processes
from tests.harness import House, claude_binary

ANSWERED, REPLIED, CPU = 1.45, 1.2, 1.15
REST_PERCENT = 0.2
CALM_SECONDS, REST_SECONDS = 15.0, 30.0
RESTING = 5
"""How many sessions rest when the bound is looked at for each: what the daemons take without any is shared by all."""

UNLIMITED = {"limits": {"memory_per_session_mb": 8192, "memory_total_gb": 16}}
"""The raw one has no limits either: a process that is replaced in the midst of it would be counted, or not, as it happens."""

PARAGRAPH = "The lamp in the hall burns all night and nobody knows who pays for the oil. "
MARKDOWN = "# A title\n\n- one *thing*\n- **another**\n\n```python\nprint('{name}')\n```\n\nand the end {name}"
STREAM = "[[stream {seconds:g}]] [[size 4000]] go {number:04d}"

KINDS: dict[str, Callable[[str], str]] = {
    "short": lambda name: f"message {name}",
    "1 KB": lambda name: (PARAGRAPH * 14)[:1010] + f" {name}",
    "markdown": lambda name: MARKDOWN.format(name=name),
}


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("near", __doc__)
    parser.add_argument("--messages", type=int, default=50, help="of each kind (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a stream (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release, UNLIMITED) as house:
        lap = _Lap(house, arguments)
        try:
            for number in range(arguments.messages):
                for kind in KINDS:
                    lap.message(kind, f"{number:04d}")
                lap.progress.at(number + 1)
            for number in range(arguments.streams):
                lap.stream(number)
            lap.rest(1)
            lap.rest(RESTING)
        finally:
            lap.close()
        figures, verdicts = lap.result()
    return lab.finish(f"near, CLI {arguments.release}", figures, verdicts, arguments.json)


class _Lap:
    """The same for both, and what it took."""

    def __init__(self, house: House, arguments: Any) -> None:
        claude, env = claude_binary(arguments.release), lab.bare_environment(house)
        self._house, self._seconds = house, arguments.seconds
        self._raw_of = (claude, env, house.project, house.folder)
        self._raw = Raw(*self._raw_of)
        self._others: list[Raw] = []
        self._session = _chat(house, "echo: warm", None)[0]["sessionId"]
        self._own = _processes(house, self._session)
        self._raw.ask("echo: warm raw")
        self._tmux = bare.Tmux(claude, env, house.project, house.folder) if bare.Tmux.is_there() else None
        self._times: dict[str, list[float]] = {}
        self._steps: dict[str, list[float]] = {}
        self._spent = Spent()
        self._wrong: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._rest: dict[int, dict[str, float]] = {}
        self.progress = lab.Progress("messages of each kind", arguments.messages)

    def message(self, kind: str, name: str) -> None:
        """Two raw, one until `answered`, one until `replied`; a short one in tmux, too."""
        text = KINDS[kind]
        with self._spent.of(f"{kind}, raw", [self._raw.pid]):
            self._note(f"{kind}, raw", self._raw.ask(f"echo: {text('raw ' + name)}"))
        with self._spent.of(f"{kind}, ours", self._own):
            answer, took = _chat(self._house, f"echo: {text('ours ' + name)}", self._session)
        self._note(f"{kind}, answered", took)
        if kind == "short":
            _note_steps(self._house, answer["messageId"], took, self._steps)
        self._note(f"{kind}, raw", self._raw.ask(f"echo: {text('once more ' + name)}"))
        early, took = _chat(self._house, f"echo: {text('early ' + name)}", self._session, until="replied")
        self._note(f"{kind}, replied", took)
        self._house.message(early["messageId"], wait=30)
        said = answer["reply"], early["reply"]
        self._wrong[kind] += said != (text(f"ours {name}"), text(f"early {name}"))
        if self._tmux is not None and kind == "short":
            self._note("tmux", self._tmux.ask(text("tmux " + name)))

    def stream(self, number: int) -> None:
        """One of each."""
        text = STREAM.format(seconds=self._seconds, number=number)
        with self._spent.of("stream, raw", [self._raw.pid]):
            self._raw.ask(text, self._seconds + 10.0)
        with self._spent.of("stream, ours", self._own):
            _chat(self._house, text, self._session)

    def rest(self, sessions: int) -> None:
        """Nothing is done by so many of each; all at the same time, when all have forgotten what they did."""
        while len(self._others) + 1 < sessions:
            self._others.append(raw := Raw(*self._raw_of))
            raw.ask("echo: rest")
            other = _chat(self._house, "echo: rest", None)[0]["sessionId"]
            self._own = [*dict.fromkeys([*self._own, *_processes(self._house, other)])]
        self._idle(CALM_SECONDS)
        roots = {"raw": [raw.pid for raw in (self._raw, *self._others)], "ours": self._own}
        before = {name: sum(map(lab.cpu_seconds, pids)) for name, pids in roots.items()}
        took = self._idle(REST_SECONDS)
        self._rest[sessions] = {
            name: 100.0 * (sum(map(lab.cpu_seconds, pids)) - before[name]) / took / sessions
            for name, pids in roots.items()
        }

    def _idle(self, seconds: float) -> float:
        began = time.monotonic()
        while (took := time.monotonic() - began) < seconds:
            for raw in (self._raw, *self._others):
                raw.idle()
        return took

    def close(self) -> None:
        """End what was started beside the house."""
        if self._tmux is not None:
            self._tmux.close()
        for raw in (self._raw, *self._others):
            raw.close()

    def _note(self, name: str, milliseconds: float) -> None:
        self._times.setdefault(name, []).append(milliseconds)

    def _p50(self, name: str) -> float:
        return statistics.median(self._times[name])

    def result(self) -> tuple[dict[str, Any], dict[str, bool]]:
        """Figures and verdicts."""
        figures: dict[str, Any] = {}
        same = _processes(self._house, self._session) == self._own[:3]
        verdicts = {"one process from first to last": same}
        for name, values in self._times.items():
            figures[f"{name}, ms p50"], figures[f"{name}, ms p95"] = self._p50(name), lab.percentile(values, 95)
        for name, values in self._steps.items():
            figures |= {f"  step {name}, ms p{p}": lab.percentile(values, p) for p in (10, 50, 90)}
        for kind in KINDS:
            answered, replied = (
                self._p50(f"{kind}, {end}") / self._p50(f"{kind}, raw") for end in ("answered", "replied")
            )
            figures |= {f"{kind}, answered / raw": answered, f"{kind}, replied / raw": replied}
            verdicts[f"{kind}: answered within {ANSWERED:g} x raw"] = answered <= ANSWERED
            verdicts[f"{kind}: replied within {REPLIED:g} x raw"] = replied <= REPLIED
            verdicts[f"{kind}: every reply exact"] = self._wrong[kind] == 0
        if self._tmux is not None:
            verdicts["short: replied before it is seen in tmux"] = self._p50("short, replied") < self._p50("tmux")
        for what in (*KINDS, "stream"):
            raw, ours = self._spent.mean(f"{what}, raw"), self._spent.mean(f"{what}, ours")
            figures |= {
                f"{what}, raw, CPU ms": raw,
                f"{what}, ours, CPU ms": ours,
                f"{what}, ours / raw, CPU": ours / raw,
            }
            verdicts[f"{what}: CPU within {CPU:g} x raw"] = ours <= CPU * raw
        for sessions, shares in self._rest.items():
            each = "one session" if sessions == 1 else f"each of {sessions}"
            figures |= {f"at rest, {each}, {name}, % of a core": share for name, share in shares.items()}
            within = shares["ours"] - shares["raw"] <= REST_PERCENT
            verdicts[f"at rest, {each} within {REST_PERCENT:g} % of raw"] = within
        return figures, verdicts
