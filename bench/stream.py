"""From Claude displaying text to the client that streams it.

The start is the line that Claude's MessageDisplay hook appends to hooks.log, watched from outside; the end is the whole
frame at an HTTP client. Exit code 1 when the first piece of a reply takes more than 50 ms (median).
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from bench.lab import finish, open_house, parser, percentile
from tests.event_stream import Stream

BOUND_MS = 50.0
LOOK_SECONDS = 0.0005


class Watch(threading.Thread):
    """The moments at which MessageDisplay lines appear in a hooks.log."""

    def __init__(self, log: Path) -> None:
        super().__init__(daemon=True)
        self._log = log
        self._stop_now = threading.Event()
        self.moments: list[float] = []
        self.start()

    def run(self) -> None:
        """Look at the file until told to stop."""
        with self._log.open("rb") as file:
            file.seek(0, 2)
            rest = b""
            while not self._stop_now.is_set():
                data = file.read()
                if not data:
                    time.sleep(LOOK_SECONDS)
                    continue
                now = time.monotonic()
                *lines, rest = (rest + data).split(b"\n")
                self.moments += [now] * sum(line.startswith(b"hook MessageDisplay ") for line in lines)

    def end(self) -> list[float]:
        """Stop, and what was seen."""
        self._stop_now.set()
        self.join()
        return self.moments


def main(argv: list[str]) -> int:
    """Run it and print the figures."""
    arguments = parser("stream", __doc__)
    arguments.add_argument("--turns", type=int, default=20, help="replies (default: %(default)s)")
    options = arguments.parse_args(argv)
    first: list[float] = []
    every: list[float] = []
    with open_house(options.release) as house:
        _, session = house.ask("echo: warm")
        prompt = "[[stream 0.6]] echo: " + "a line of text\n" * 12 + "the end"
        for _ in range(options.turns):
            watch = Watch(house.paths.session_dir(session) / "hooks.log")
            with Stream(house, "/api/chat", {"message": prompt, "sessionId": session}) as stream:
                frames = list(stream)
            shown, came = watch.end(), [frame.at for frame in frames if frame.kind == "text"]
            if len(shown) != len(came):
                raise SystemExit(f"Claude displayed {len(shown)} pieces and {len(came)} came")
            delays = [(there - here) * 1000 for here, there in zip(shown, came, strict=True)]
            first.append(delays[0])
            every += delays
    median = percentile(first, 50)
    figures = {
        "replies": options.turns,
        "pieces of text": len(every),
        "first piece, ms p50": median,
        "first piece, ms p95": percentile(first, 95),
        "every piece, ms p50": percentile(every, 50),
        "every piece, ms p95": percentile(every, 95),
        "every piece, ms max": max(every),
    }
    verdicts = {f"first text within {BOUND_MS:g} ms of Claude displaying it (median)": median <= BOUND_MS}
    return finish(f"stream, CLI {options.release}", figures, verdicts, options.json)
