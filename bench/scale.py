"""What many conversations cost: thousands that have ended, hundreds that sleep, a long journal; and what the loop feels of it.

The rows are written by the store itself before anything starts. While each call is measured, a watchdog asks the supervisor
to answer a ping every few milliseconds: the longest that it waits is the longest that the loop was blocked.
"""

from __future__ import annotations

import shutil
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from bench import lab
from shared.bus.client import BusClient
from supervisor.store.records import SessionRecord
from supervisor.store.store import Store
from tests.harness import House

DAY_MS = 86_400_000
LOOKUP_MS, PAGE_MS, BLOCKED_MS, READY_SECONDS, MEMORY_MB = 5.0, 30.0, 20.0, 1.0, 60.0
PING_SECONDS = 0.002


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("scale", __doc__)
    parser.add_argument("--ended", type=int, default=2000)
    parser.add_argument("--asleep", type=int, default=300)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release) as house:
        house.kill_api(15)
        house.kill_supervisor(15)
        ids = _fill(house, arguments.ended, arguments.asleep, arguments.events)
        figures, verdicts = _measure(house, ids, arguments.rounds)
    title = f"{arguments.ended} ended, {arguments.asleep} asleep, {arguments.events} events"
    return lab.finish(f"scale, {title}", figures, verdicts, arguments.json)


def _fill(house: House, ended: int, asleep: int, events: int) -> list[str]:
    """The ids of all, written as a supervisor would have."""
    store, now = Store(house.paths.database), int(time.time() * 1000)
    ids: list[str] = []
    with store.transaction():
        for number in range(ended + asleep):
            session = str(uuid.uuid4())
            ids.append(session)
            record = SessionRecord(
                session,
                str(house.project),
                now - 20 * DAY_MS + number,
                now - 3_600_000 - number,
                "ended" if number < ended else "hibernated",
                session,
            )
            record.generation, record.message_count, record.title = 1, 3, f"Conversation {number}"
            if number < ended:
                record.ended_at, record.end_reason = now - 3_600_000, "killed"
            store.save_session(record)
        rows = (
            (now - events + n, "text", ids[n % len(ids)], msgspec.json.encode({"message": "m_0", "text": "word " * 20}))
            for n in range(events)
        )
        store._db.executemany("INSERT INTO events(at,kind,session,data) VALUES(?,?,?,?)", rows)
    store.close()
    for session in ids:
        shutil.rmtree(house.paths.session_dir(session), ignore_errors=True)
    return ids


class Watchdog:
    """Asks for a ping again and again; `worst` is the longest answer in milliseconds since `reset`."""

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


def _measure(house: House, ids: list[str], rounds: int) -> tuple[dict[str, Any], dict[str, bool]]:
    began = time.monotonic()
    house.start_supervisor()
    ready = time.monotonic() - began
    house.start_api()
    assert house.supervisor is not None
    watchdog = Watchdog(house)
    time.sleep(1.0)
    quiet = watchdog.worst()
    figures: dict[str, Any] = {"start to ready, seconds": ready, "watchdog at rest, ms": quiet}
    verdicts = {f"ready within {READY_SECONDS:g} s": ready < READY_SECONDS}
    for name, bound, call in _calls(house, ids):
        took = []
        for number in range(rounds):
            start = time.perf_counter()
            call(number)
            took.append(1000 * (time.perf_counter() - start))
        blocked = watchdog.worst()
        figures[f"{name}, ms p50"] = statistics.median(took)
        figures[f"{name}, ms p95"] = lab.percentile(took, 95)
        figures[f"{name}, loop blocked ms"] = blocked
        verdicts[f"{name} within {bound:g} ms"] = statistics.median(took) < bound
        verdicts[f"{name} blocks the loop for less than {BLOCKED_MS:g} ms"] = blocked < BLOCKED_MS
    watchdog.close()
    figures["supervisor MB"] = lab.memory_mb(house.supervisor.pid)
    verdicts[f"supervisor under {MEMORY_MB:g} MB"] = figures["supervisor MB"] < MEMORY_MB
    return figures, verdicts


def _calls(house: House, ids: list[str]) -> list[tuple[str, float, Callable[[int], Any]]]:
    def one(number: int) -> str:
        return ids[(number * 37) % len(ids)]

    def listed(path: str) -> Callable[[int], Any]:
        def call(_: int) -> Any:
            status, answer = house.http("GET", path)
            assert status == 200, answer
            return answer

        return call

    def page_behind(number: int) -> None:
        status, first = house.http("GET", "/api/sessions?includeEnded=true&limit=50")
        assert status == 200
        assert len(first["sessions"]) == 50
        house.http("GET", f"/api/sessions?includeEnded=true&limit=50&after={first['next']}")

    return [
        ("session by id", LOOKUP_MS, lambda n: house.call("session.get", {"sessionId": one(n)})),
        (
            "session by the beginning of its id",
            LOOKUP_MS,
            lambda n: house.call("session.list", {"beginsWith": one(n)[:8], "includeEnded": True}),
        ),
        ("a page of sessions, ended ones too", PAGE_MS, listed("/api/sessions?includeEnded=true&limit=50")),
        ("two pages of sessions, one behind the other", 2 * PAGE_MS, page_behind),
        ("sessions that are not ended", 2 * PAGE_MS, listed("/api/sessions")),
        ("attention", 2 * PAGE_MS, listed("/api/attention")),
        (
            "events of one session",
            PAGE_MS,
            lambda n: house.call("events.since", {"seq": 0, "limit": 100, "sessionId": one(n)}),
        ),
    ]
