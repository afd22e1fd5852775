"""Two hundred conversations within two gigabytes, any of them answering; and what waking one costs beside the bare CLI."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import bare, lab
from tests.harness import House, claude_binary

LIMIT_MB = 2048.0
WAKE_RATIO = 1.2


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("density", __doc__)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--wakes", type=int, default=20, help="how many wakes are timed beside the bare CLI")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    config = {"health": {"interval_seconds": 5.0}}
    with lab.open_house(arguments.release, config) as house:
        figures, verdicts = _density(house, arguments)
    return lab.finish(f"density, CLI {arguments.release}", figures, verdicts, arguments.json)


def _density(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    dice = random.Random(arguments.seed)
    words = [f"WORD{number:03d}" for number in range(arguments.conversations)]
    made = lab.Progress("conversations", arguments.conversations)
    peak = 0.0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.5):
            peak = max(peak, sum(lab.memory_mb(p.pid) for p in house.marked()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    sessions: list[str] = []
    try:
        with ThreadPoolExecutor(2) as crowd:
            for session in crowd.map(lambda word: house.ask(f"Remember the word {word}", wait=120)[1], words):
                sessions.append(session)
                made.at(len(sessions))
        order = [dice.randrange(len(sessions)) for _ in range(arguments.messages)]
        asked = lab.Progress("messages", len(order))
        right = 0

        def ask(index: int) -> bool:
            question = "What word did I ask you to remember?"
            sent = house.send(question, sessions[index], wait=180)
            return bool(sent["message"]["reply"] == words[index])

        began = time.monotonic()
        with ThreadPoolExecutor(3) as crowd:
            for done, answer in enumerate(crowd.map(ask, order), 1):
                right += answer
                asked.at(done)
        took = time.monotonic() - began
    finally:
        stop.set()
        watcher.join()
    crowded = [_wake(house, session) for session in _asleep(house, sessions)[: arguments.wakes // 2]]
    wakes, bares = _wakes(house, sessions, arguments)
    figures: dict[str, Any] = {
        "conversations": len(sessions),
        "messages": len(order),
        "answered right": right,
        "seconds": took,
        "peak memory of everything, MB": peak,
        "wake, ms p50": lab.percentile(wakes, 50),
        "wake, ms p95": lab.percentile(wakes, 95),
        "bare claude --resume, ms p50": lab.percentile(bares, 50),
        "bare claude --resume, ms p95": lab.percentile(bares, 95),
        "wake that has to make room first, ms p50": lab.percentile(crowded, 50),
        "wake / bare, ratio of medians": lab.percentile(wakes, 50) / lab.percentile(bares, 50),
    }
    verdicts = {
        "all answered": right == len(order),
        f"under {LIMIT_MB:.0f} MB": peak < LIMIT_MB,
        f"a wake costs at most {WAKE_RATIO:g} x a bare --resume": lab.percentile(wakes, 50)
        <= WAKE_RATIO * lab.percentile(bares, 50),
    }
    return figures, verdicts


def _asleep(house: House, sessions: list[str]) -> list[str]:
    return [session for session in sessions if house.session(session)["state"] == "hibernated"]


def _wake(house: House, session: str) -> float:
    """Milliseconds from the request to the prompt box."""
    started = time.monotonic()
    view = house.call("session.wake", {"sessionId": session})
    assert view["state"] == "idle", view
    return 1000 * (time.monotonic() - started)


def _wakes(house: House, sessions: list[str], arguments: Any) -> tuple[list[float], list[float]]:
    """Milliseconds of waking, with a place free, and of the bare CLI, in turn, on the same conversations."""
    wakes, bares = [], []
    env = lab.bare_environment(house)
    for session in sessions:
        if house.session(session)["state"] != "hibernated":
            house.call("session.hibernate", {"sessionId": session})
    for session in sessions[: arguments.wakes]:
        conversation = house.session(session)["conversationId"]
        bares.append(1000 * bare.resume_seconds(claude_binary(arguments.release), env, house.project, conversation))
        wakes.append(_wake(house, session))
        house.call("session.hibernate", {"sessionId": session})
    return wakes, bares
