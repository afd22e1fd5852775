"""Many messages to many sessions: none lost, none doubled, none mixed up, and memory that stays flat."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import lab
from tests.harness import House

GROWTH = 1.05
HEALTH_SECONDS = 10.0
LIMIT_GB = 2.0
"""What all sessions may take: as on a machine where nobody has set it."""

PATIENCE_SECONDS = 120.0
"""How long a client that finds no room comes back, as `Retry-After` tells it to."""


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("soak", __doc__)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--messages", type=int, default=100, help="for each session")
    arguments = parser.parse_args(argv)
    config = {
        "health": {"interval_seconds": HEALTH_SECONDS},
        "sessions": {"max_concurrent": arguments.sessions},
        "limits": {"cpu_percent": 100, "memory_free_percent": 0, "memory_total_gb": LIMIT_GB},
    }
    with lab.open_house(arguments.release, config) as house:
        figures, verdicts = _soak(house, arguments.sessions, arguments.messages)
    return lab.finish(f"soak, CLI {arguments.release}", figures, verdicts, arguments.json)


def _soak(house: House, sessions: int, messages: int) -> tuple[dict[str, Any], dict[str, bool]]:
    total = sessions * messages
    progress = lab.Progress("answered", total)
    done = 0
    lock = threading.Lock()
    memory: list[tuple[int, float, float]] = []
    over_since: float | None = None
    over_longest = 0.0
    peak_memory = peak_live = 0
    stop = threading.Event()
    refused: Counter[str] = Counter()
    assert house.supervisor is not None
    assert house.api is not None
    supervisor, api = house.supervisor.pid, house.api.pid

    def watch() -> None:
        nonlocal over_since, over_longest, peak_memory, peak_live
        limit = LIMIT_GB * 1024**3
        while not stop.wait(1.0):
            memory.append((done, lab.private_mb(supervisor), lab.private_mb(api)))
            status, body = house.http("GET", "/api/sessions/active")
            if status != 200:
                continue
            crowd = house.call("metrics")["sessions"]["byState"]
            live = sum(count for state, count in crowd.items() if state != "hibernated")
            over = body["stats"]["memoryUsage"] > limit or live > sessions
            peak_memory, peak_live = max(peak_memory, body["stats"]["memoryUsage"]), max(peak_live, live)
            over_since = (over_since or time.monotonic()) if over else None
            if over_since is not None:
                over_longest = max(over_longest, time.monotonic() - over_since)

    def converse(number: int) -> list[tuple[str, str | None, float]]:
        nonlocal done
        results, session = [], None
        for index in range(messages):
            text = f"session {number} message {index} of soak"
            started = time.monotonic()
            body = {"message": f"echo: {text}", "wait": 120}
            body |= {"sessionId": session} if session else {"projectPath": str(house.project)}
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            status, answer = house.http("POST", "/api/chat", body, headers=headers)
            while status == 429 and time.monotonic() - started < PATIENCE_SECONDS:
                refused[answer["code"]] += 1
                time.sleep(answer["data"]["retryAfter"])
                status, answer = house.http("POST", "/api/chat", body, headers=headers)
            reply = answer.get("reply") if status == 200 else None
            results.append((text, reply, time.monotonic() - started))
            if reply is None:
                print(f"  not answered: {text}: {status} {answer.get('code') or answer.get('message')}", flush=True)
            session = answer.get("sessionId", session)
            with lock:
                done += 1
                progress.at(done)
        return results

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    with ThreadPoolExecutor(sessions) as crowd:
        conversations = list(crowd.map(converse, range(sessions)))
    took = time.monotonic() - began
    stop.set()
    watcher.join()
    results = [result for conversation in conversations for result in conversation]
    seen = Counter(turn.prompt for turn in house.model.turns() if turn.attempt == 1)
    answered = sum(1 for text, reply, _ in results if reply == text)
    mixed = sum(1 for text, reply, _ in results if reply is not None and reply != text)
    lost = sum(1 for text, _, _ in results if not seen[f"echo: {text}"])
    doubled = sum(1 for count in seen.values() if count > 1)
    middle = [sample for sample in memory if sample[0] >= total // 2][:10]
    late = memory[-10:]

    def growth(column: int) -> float:
        before = lab.percentile([sample[column] for sample in middle], 50)
        after = lab.percentile([sample[column] for sample in late], 50)
        return after / before if before else 0.0

    latencies = [1000 * seconds for _, _, seconds in results]
    figures: dict[str, Any] = {
        "messages": total,
        "answered": answered,
        "lost": lost,
        "doubled": doubled,
        "mixed up": mixed,
        **{f"refused for a while: {code}": count for code, count in sorted(refused.items())},
        "minutes": took / 60,
        "message to reply, ms p50": lab.percentile(latencies, 50),
        "message to reply, ms p95": lab.percentile(latencies, 95),
        "supervisor MB at the end": late[-1][1],
        "API MB at the end": late[-1][2],
        "supervisor memory, last half, ratio": growth(1),
        "API memory, last half, ratio": growth(2),
        "most memory of all sessions, MB": peak_memory / lab.MEGABYTE,
        "most sessions with a process": peak_live,
        "longest time over a limit, s": over_longest,
    }
    verdicts = {
        f"{total} answered": answered == total,
        "0 lost, 0 doubled, 0 mixed up": lost == doubled == mixed == 0,
        "supervisor memory flat": growth(1) <= GROWTH,
        "API memory flat": growth(2) <= GROWTH,
        "limits never exceeded for longer than a health period": over_longest <= HEALTH_SECONDS + 1,
    }
    return figures, verdicts
