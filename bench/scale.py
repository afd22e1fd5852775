"""What many conversations cost: ten thousand that have ended, hundreds asleep, two million events; at rest, and while ten stream.

All of it is written before anything starts (`many`). While each call is measured at rest, a watchdog asks the supervisor to
answer a ping every few milliseconds: the longest that it waits is the longest that the loop was blocked. The sessions that stream
are the scripted TUI's: ten of the real CLI would take both cores of a small machine for themselves, and what was measured then
would be them.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import lab, many
from shared.bus.client import BusClient
from tests.harness import ROOT, House, until

P95_MS, BLOCKED_MS, READY_SECONDS, MEMORY_MB = 50.0, 20.0, 1.5, 80.0
PING_SECONDS = 0.002
STREAM_SECONDS, STREAM_WORDS = 30.0, 150
"""How long a reply takes that streams, and of how many words it is."""

Call = Callable[[int], Any]


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("scale", __doc__)
    parser.add_argument("--ended", type=int, default=10_000)
    parser.add_argument("--asleep", type=int, default=300)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--streaming", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args(argv)
    keep = {"keep_days": 365.0, "keep_count": 2 * arguments.events, "keep_mb": 10_000.0}
    config = {"events": keep, "sessions": {"max_concurrent": max(10, arguments.streaming)}}
    with _scripted() as claude, lab.open_house(arguments.release, config, claude=claude) as house:
        house.kill_api(15)
        house.kill_supervisor(15)
        print("  writing conversations and events", file=sys.stderr, flush=True)
        ids = many.fill(house, arguments.ended, arguments.asleep, arguments.events)
        figures, verdicts = _measure(house, ids, arguments)
    title = f"{arguments.ended} ended, {arguments.asleep} asleep, {arguments.events} events"
    return lab.finish(f"scale, {title}", figures, verdicts, arguments.json)


@contextmanager
def _scripted() -> Iterator[Path]:
    """The scripted TUI as the program to start."""
    with tempfile.TemporaryDirectory(prefix="plf-") as name:
        folder = Path(name)
        fake = folder / "claude"
        (folder / "script.json").write_text(json.dumps({"stream": STREAM_SECONDS}))
        settings = f"FAKE_TUI_SCRIPT={folder}/script.json FAKE_TUI_LOG={folder}/log.jsonl"
        program = ROOT / "tests" / "fake_tui.py"
        fake.write_text(f'#!/bin/sh\n{settings} exec {sys.executable} {program} "$@"\n')
        fake.chmod(0o755)
        yield fake


class Watchdog:
    """Asks for a ping again and again; `worst` is the longest answer in milliseconds since it was last asked for."""

    def __init__(self, house: House) -> None:
        self._bus = BusClient(house.paths.request_address, actor="watchdog")
        self._over = threading.Event()
        self.answers: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(PING_SECONDS):
            began = time.perf_counter()
            self._bus.call("ping", timeout=30.0)
            self.answers.append(1000 * (time.perf_counter() - began))

    def worst(self) -> float:
        """Since the last call; the one in a thousand that the machine itself held up does not count."""
        answers, self.answers = sorted(self.answers), []
        return answers[min(len(answers) - 1, int(len(answers) * 0.999))] if answers else 0.0

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._thread.join(5)
        self._bus.close()


def _measure(house: House, ids: list[str], arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    began = time.monotonic()
    house.start_supervisor()
    ready = time.monotonic() - began
    watchdog = Watchdog(house)
    house.start_api()
    time.sleep(3.0)
    starting = watchdog.worst()
    began = time.monotonic()
    until(lambda: house.http("GET", "/api/search?q=number7")[1]["complete"], "all of it is indexed", 300)
    indexed = time.monotonic() - began
    watchdog.worst()
    house.kill_supervisor()
    began = time.monotonic()
    house.start_supervisor()
    again = time.monotonic() - began
    until(lambda: house.http("GET", "/api/search?q=number7")[1]["complete"], "the index is known to be whole", 300)
    figures: dict[str, Any] = {
        "start to ready, seconds": ready,
        "killed, start to ready, seconds": again,
        "loop blocked in the first seconds, ms": starting,
        "everything indexed after, seconds": indexed,
    }
    verdicts = {f"ready within {READY_SECONDS:g} s": max(ready, again) < READY_SECONDS}
    for name, call in _calls(house, ids):
        watchdog.worst()
        took = _timed(call, arguments.rounds)
        figures[f"{name}, ms p50"], figures[f"{name}, ms p95"] = (lab.percentile(took, p) for p in (50, 95))
        figures[f"{name}, loop blocked ms"] = watchdog.worst()
        verdicts[f"{name}: loop blocked for less than {BLOCKED_MS:g} ms"] = (
            figures[f"{name}, loop blocked ms"] < BLOCKED_MS
        )
    watchdog.close()
    with _streams(house, arguments.streaming) as pieces:
        before, began = pieces(), time.monotonic()
        for name, call in _calls(house, ids):
            took = _timed(call, arguments.rounds)
            figures[f"{name}, streaming, ms p50"] = lab.percentile(took, 50)
            figures[f"{name}, streaming, ms p95"] = lab.percentile(took, 95)
            bound = P95_MS * (2 if "two" in name else 1)
            verdicts[f"{name} within {bound:g} ms (p95) while {arguments.streaming} stream"] = (
                lab.percentile(took, 95) < bound
            )
        figures["events a second meanwhile"] = (pieces() - before) / (time.monotonic() - began)
    assert house.supervisor is not None
    assert house.api is not None
    for name, pid in (("supervisor", house.supervisor.pid), ("API", house.api.pid)):
        figures[f"{name} MB"] = lab.memory_mb(pid)
        verdicts[f"{name} under {MEMORY_MB:g} MB"] = figures[f"{name} MB"] < MEMORY_MB
    return figures, verdicts


def _timed(call: Call, rounds: int) -> list[float]:
    took = []
    for number in range(rounds):
        start = time.perf_counter()
        call(number)
        took.append(1000 * (time.perf_counter() - start))
    return took


@contextmanager
def _streams(house: House, sessions: int) -> Iterator[Callable[[], int]]:
    """So many sessions that stream, one reply after the other; what is yielded tells how far the journal is."""
    over = threading.Event()
    views = [house.call("session.create", {"projectPath": str(house.project)}) for _ in range(sessions)]
    for view in views:
        house.until_state(view["id"], "idle", timeout=60)

    def talk(session: str) -> None:
        for number in itertools.count():
            prompt = f"{number} " + "word " * STREAM_WORDS
            body = {"message": prompt, "sessionId": session, "wait": 2 * STREAM_SECONDS}
            if over.is_set():
                return
            status, answer = house.http("POST", "/api/chat", body)
            assert over.is_set() or status == 200, answer

    threads = [threading.Thread(target=talk, args=(view["id"],), daemon=True) for view in views]
    for thread in threads:
        thread.start()
    time.sleep(5.0)
    try:
        yield lambda: int(house.call("ping")["head"])
    finally:
        over.set()
        for view in views:
            house.call("session.kill", {"sessionId": view["id"]})
        for thread in threads:
            thread.join(3 * STREAM_SECONDS)


def _calls(house: House, ids: list[str]) -> list[tuple[str, Call]]:
    head = house.call("ping")["head"]

    def one(number: int) -> str:
        return ids[(number * 37) % len(ids)]

    def asked(path: Callable[[int], str], has: str) -> Call:
        def call(number: int) -> Any:
            status, answer = house.http("GET", path(number))
            assert status == 200, answer
            assert has == "any" or answer[has], answer
            return answer

        return call

    def page_behind(number: int) -> None:
        first = asked(lambda _: "/api/sessions?includeEnded=true&limit=50", "next")(number)
        asked(lambda _: f"/api/sessions?includeEnded=true&limit=50&after={first['next']}", "sessions")(number)

    def replay(number: int) -> None:
        since = (number + 1) * head // 100
        found = house.call("events.since", {"seq": since, "limit": 500})["events"]
        assert len(found) == 500

    def replay_one(number: int) -> None:
        assert house.call("events.since", {"seq": 0, "limit": 100, "sessionId": one(number)})["events"]

    beginning = {"includeEnded": True}
    return [
        ("session by id", lambda n: house.call("session.get", {"sessionId": one(n)})),
        (
            "session by the beginning of its id",
            lambda n: house.call("session.list", {"beginsWith": one(n)[:8], **beginning}),
        ),
        ("a page of sessions, ended ones too", asked(lambda _: "/api/sessions?includeEnded=true&limit=50", "sessions")),
        ("two pages of sessions, one behind the other", page_behind),
        ("all sessions that are not ended", asked(lambda _: "/api/sessions", "sessions")),
        ("search, a word of one", asked(lambda n: f"/api/search?q=number{n * 37 % len(ids)}", "hits")),
        ("search, a word of a hundred", asked(lambda n: f"/api/search?q=topic{n % (len(ids) // many.SHARED)}", "hits")),
        ("history page", asked(lambda n: f"/api/sessions/{one(n)}/history?limit=20", "entries")),
        ("attention", asked(lambda _: "/api/attention", "any")),
        ("replay of 500 events", replay),
        ("replay of one session's events", replay_one),
    ]
