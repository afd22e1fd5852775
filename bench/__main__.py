"""`python -m bench NAME`: benchmarks, each of which prints a table and exits 1 when a bound does not hold.

near       messages of three kinds, a stream and rest beside the bare CLI, in time and in CPU
latency    message to reply, beside the CLI driven raw and one `claude -p --resume` a message
own        what of a message and a stream is Claude's own: hooks and an editor that do nothing, beside ours
first      the first answer of a new session, and a wake, beside the bare CLI
soak       10 sessions x 100 messages: none lost, doubled or mixed up, memory flat
density    200 conversations within 2 GB, and what a wake costs beside a bare `claude --resume`
chaos      random kills and stops of every process, for --minutes
cycles     1,000 sessions started and ended with the scripted TUI
idle       what 100 sleeping and 5 idle sessions cost
terminal   echo through the WebSocket beside the raw pty; 50 viewers of one busy session
scale      10,000 ended and 300 sleeping sessions, 2 million events: lookups, pages, search, replay, at rest and under load
transcript one conversation of 300 MB: paged, searched, exported twice at once
beside     this tree beside commit 2bb5f8a: messages, streams and rest, in turn
notify     message to reply while channels hang, flood and lie, beside no channels at all
machines   what a gateway adds to messages and lists, and how it grows to 20 nodes
dashboard  bytes, first paint, long tasks and a long conversation in a real browser
screenshots  pictures of every view, in both themes and three sizes
stream     from Claude displaying text to the client that streams it
"""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "near",
    "latency",
    "own",
    "first",
    "soak",
    "density",
    "chaos",
    "cycles",
    "idle",
    "terminal",
    "scale",
    "transcript",
    "beside",
    "notify",
    "stream",
    "machines",
    "dashboard",
    "screenshots",
)


def main(argv: list[str]) -> int:
    """Run one benchmark by name."""
    if not argv or argv[0] not in NAMES:
        print(__doc__)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return int(importlib.import_module(f"bench.{argv[0]}").main(argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
