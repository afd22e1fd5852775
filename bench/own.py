"""What of a message and of a stream is Claude's own: driven raw, with hooks that do nothing, with ours, and by its editor.

In turn, message by message, one process for each. `nothing` has every event that we register run `:`; the editor is one `cat`.
What these take more than a paste and one Stop hook, no code of ours can take away. CPU is that of the process and of all below
it. Of a stream, for each piece of which Claude calls a hook, CPU alone says something.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pexpect

from bench import lab
from bench.latency import Raw, Spent
from shared.config import ClaudeConfig
from supervisor.claude import command_line
from supervisor.terminal.screen import Screen
from tests.harness import claude_binary

WAYS = {
    "paste, one Stop hook": ("one", False),
    "paste, all hooks, nothing": ("nothing", False),
    "paste, all hooks, ours": ("ours", False),
    "editor, one Stop hook": ("one", True),
    "editor, all hooks, nothing": ("nothing", True),
    "editor, all hooks, ours": ("ours", True),
}
STREAM, STREAM_PATIENCE = "[[stream 5]] [[size 2000]] go {number:04d}", 15.0
UNLIMITED = {"limits": {"memory_total_gb": 16}}


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("own", __doc__)
    parser.add_argument("--messages", type=int, default=25, help="of each kind (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=2, help="of five seconds each (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release, UNLIMITED, api=False) as house:
        claude, env = claude_binary(arguments.release), lab.bare_environment(house)
        driven = {
            way: Driven(claude, env, house.project, house.folder / f"way{number}", arguments.release, *how)
            for number, (way, how) in enumerate(WAYS.items())
        }
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        spent, progress = Spent(), lab.Progress("messages of each", arguments.messages)
        for number in range(-2, arguments.messages):
            for way, raw in driven.items():
                if number < 0:
                    raw.ask(f"echo: warm up {number}")
                    continue
                with spent.of(way, [raw.pid]):
                    took[way].append(raw.ask(f"echo: message {number:04d}"))
            progress.at(number + 1)
        for number in range(arguments.streams):
            for way, raw in driven.items():
                with spent.of(f"{way}, stream", [raw.pid]):
                    raw.ask(STREAM.format(number=number), STREAM_PATIENCE)
        for raw in driven.values():
            raw.close()
    first, *_ = WAYS
    figures: dict[str, Any] = {}
    for way, times in took.items():
        middle, cpu = statistics.median(times), spent.mean(way)
        figures |= {f"{way}: to Stop, ms p{p}": lab.percentile(times, p) for p in (10, 50, 90)}
        figures |= {f"{way}: CPU ms": cpu, f"{way}: x raw": middle / statistics.median(took[first])}
        figures[f"{way}: x raw, CPU"] = cpu / spent.mean(first)
        if arguments.streams:
            streams = spent.mean(f"{way}, stream")
            figures |= {
                f"{way}: stream, CPU ms": streams,
                f"{way}: stream, x raw, CPU": streams / spent.mean(f"{first}, stream"),
            }
    return lab.finish(f"own, CLI {arguments.release}", figures, {}, arguments.json)


class Driven(Raw):
    """The CLI in a pty of our own, with these hooks, given its texts this way."""

    def __init__(
        self, claude: Path, env: dict[str, str], cwd: Path, folder: Path, release: str, hooks: str, editor: bool
    ) -> None:
        for made in (folder, folder / "spool"):
            made.mkdir()
        self._log, self._text = folder / "hooks.log", folder / "text" if editor else None
        self._log.touch()
        settings: dict[str, Any] = {"tui": "default", "hooks": self._hooks(folder, release, hooks)}
        if self._text is not None:
            program = folder / "editor"
            program.write_text(f'#!/bin/sh\ncat {self._text} > "$1"\n')
            program.chmod(0o755)
            settings["env"] = {"EDITOR": str(program), "VISUAL": str(program)}
        self._screen = Screen(120, 40)
        words = ["--settings", json.dumps(settings), "--permission-mode", "default"]
        self._child = pexpect.spawn(str(claude), words, env=env, cwd=str(cwd), dimensions=(40, 120))
        self._await(lambda: self._sight().kind == "prompt", 30.0)
        assert self._child.pid is not None
        self.pid = self._child.pid

    def _hooks(self, folder: Path, release: str, which: str) -> dict[str, Any]:
        ours: dict[str, Any] = command_line.settings(folder, ClaudeConfig(), (), release)["hooks"]
        stop = {"type": "command", "command": f"cat > /dev/null; echo hook Stop >> {self._log}", "async": True}
        if which == "ours":
            return ours
        for (group,) in ours.values():
            group["hooks"][0]["command"] = ":"
        return {**(ours if which == "nothing" else {}), "Stop": [{"hooks": [stop]}]}

    def _stops(self) -> int:
        return self._log.read_text().count("hook Stop")

    def ask(self, text: str, patience: float = 2.0) -> float:
        """Milliseconds from the paste, or the call of the editor, to the Stop hook."""
        before = self._stops()
        key = b"\x1b[200~" + text.encode() + b"\x1b[201~"
        if self._text is not None:
            self._text.write_text(text)
            key = b"\x07"
        started = time.monotonic()
        os.write(self._child.child_fd, key)
        self._await(lambda: text[-8:] in self._screen.text(), 5.0)
        while True:
            os.write(self._child.child_fd, b"\r")
            if self._await(lambda: self._stops() > before, patience):
                took = 1000 * (time.monotonic() - started)
                self._await(lambda: self._sight().kind == "prompt", 5.0)
                return took
