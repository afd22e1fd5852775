"""The record: every transition with its cause, one sequence for all who listen, counters that tell what happened."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.bus.event_stream import EventStream
from tests.conftest import MakeHouse
from tests.harness import House, until

SECOND = 1 / 3600
CANARY = "canary-7f3a9c"


@pytest.fixture
def quick(make_house: MakeHouse, one_cli: Path) -> House:
    """A house whose health pass runs all the time; not started yet."""
    house = make_house(one_cli)
    house.config["health"] = {"interval_seconds": 0.3}
    return house


class Ear(threading.Thread):
    """Hears events until closed; what it heard is in `heard` as (seq, kind)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.heard: list[tuple[int, str]] = []
        self.head = 0
        """As the latest tick has told it."""

        self.over = threading.Event()

    def reached(self, seq: int) -> bool:
        return bool(self.heard) and self.heard[-1][0] >= seq


class BusEar(Ear):
    def __init__(self, house: House) -> None:
        super().__init__()
        self._address = house.paths.event_address
        self.start()

    def run(self) -> None:
        with EventStream(self._address) as stream:
            while not self.over.is_set():
                event = stream.next_event(0.1)
                if event is not None and event.kind == "tick":
                    self.head = event.data["head"]
                elif event is not None:
                    self.heard.append((event.seq, event.kind))


class HttpEar(Ear):
    def __init__(self, house: House, since: int) -> None:
        super().__init__()
        address = house.api_address()
        assert address is not None
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        headers = {"Authorization": f"Bearer {house.token}", "Last-Event-ID": str(since)}
        self._connection.request("GET", "/api/events", headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        self.start()

    def run(self) -> None:
        try:
            for line in self._response:
                if self.over.is_set():
                    break
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if isinstance(event, dict) and "seq" in event and event.get("kind") != "tick":
                        self.heard.append((event["seq"], event["kind"]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass


def live_a_little(house: House) -> str:
    """A message, a nap, a wake."""
    _, session = house.ask("Remember the word POPPY")
    house.call("session.hibernate", {"sessionId": session})
    assert house.ask("What word did I ask you to remember?", session)[0] == "POPPY"
    return session


def test_journal_bus_and_stream_tell_every_transition_with_its_cause_and_survive_a_crash(quick: House) -> None:
    quick.start_supervisor()
    quick.start_api()
    first = quick.call("ping")["head"]
    on_bus, on_http = BusEar(quick), HttpEar(quick, first)
    session = live_a_little(quick)
    quick.call("message.cancel", {"messageId": cancelled(quick, session)})
    quick.model.release("hold")
    until(lambda: quick.session(session)["queueLength"] == 0, "the queue is empty")
    quick.until_state(session, "idle")
    assert_counted(quick, session)
    before = quick.call("ping")["head"]
    quick.kill_supervisor()
    quick.start_supervisor()
    until(lambda: on_bus.head > before, "the subscriber is back")
    assert quick.ask("echo: after the crash", session)[0] == "after the crash"
    quick.call("session.kill", {"sessionId": session})
    head = quick.call("ping")["head"]
    until(lambda: on_bus.reached(head) and on_http.reached(head), "both have heard the last event")
    for ear in (on_bus, on_http):
        ear.over.set()
    assert_told(quick, first, head, on_bus, on_http)
    assert_caused(quick, session)
    assert_bounded(quick)


def assert_told(house: House, first: int, head: int, on_bus: BusEar, on_http: HttpEar) -> None:
    """Journal, bus and stream tell the same, in one sequence."""
    journal = [(event["seq"], event["kind"]) for event in house.events()]
    assert [seq for seq, _ in journal] == list(range(1, journal[-1][0] + 1)), "no number is skipped"
    after = [item for item in journal if first < item[0] <= head]
    assert [item for item in on_http.heard if item[0] <= head] == after, "the stream fills in what the crash cut off"
    heard = [item for item in on_bus.heard if item[0] <= head]
    assert heard == sorted(set(heard)), "in order, once"
    assert set(heard) <= set(journal)
    missed = [item for item in after if item not in set(heard)]
    started = max(seq for seq, kind in journal if kind == "started")
    assert all(seq <= started + 20 for seq, _ in missed), "a subscriber only misses what was said while it reconnected"
    asked = house.call("events.since", {"seq": first, "limit": 1000})
    assert not asked["gap"]


def assert_caused(house: House, session: str) -> None:
    """Every transition is recorded with its cause, and none is missing between two."""
    changes = [event["data"] for event in house.events(session=session) if event["kind"] == "state"]
    assert changes[0]["from"] == "hibernated"
    assert changes[-1]["to"] == "ended"
    assert changes[-1]["reason"] == "killed"
    assert all(one["to"] == two["from"] for one, two in pairwise(changes)), changes
    assert all(change["cause"] for change in changes)
    causes = {(change["from"], change["to"]): change["cause"] for change in changes}
    assert causes[("stopping", "ended")] == "asked by test"
    assert causes[("stopping", "hibernated")] == "asked by test"


def assert_counted(house: House, session: str) -> None:
    """The counters tell what happened."""
    counters = house.call("metrics")["counters"]
    told = Counter(event["data"]["state"] for event in house.events() if event["kind"] == "message")
    for state in ("accepted", "answered", "failed", "interrupted", "cancelled"):
        assert counters[f"messages_{state}"] == told[state], state
    expected = {"starts": 2, "wakes": 1, "hibernations": 1, "recycles": 0, "crashes": 0, "expiries": 0, "warnings": 0}
    causes = [event["data"] for event in house.events(session=session) if event["kind"] in ("state", "memory")]
    assert {name: counters[name] for name in expected} == expected, causes
    assert (counters["messages_answered"], counters["messages_cancelled"]) == (3, 1)
    latency = house.call("metrics")["latency"]
    assert latency["accepted_to_answered"]["count"] == 3
    assert 0 < latency["accepted_to_answered"]["p50"] <= latency["accepted_to_answered"]["p99"]


def assert_bounded(house: House) -> None:
    """No more is kept than is configured, by number and by age, and the gap is declared."""
    assert len(house.events()) > 20
    house.call("settings.patch", {"values": {"events.keep_count": 20}})
    until(lambda: house.call("events.since", {"seq": 0, "limit": 1000})["oldest"] > 1, "the oldest were dropped")

    def kept() -> dict[str, Any]:
        return house.call("events.since", {"seq": 0, "limit": 1000})

    view = until(lambda: page if len((page := kept())["events"]) <= 20 else None, "no more are kept than configured")
    assert view["gap"]
    assert view["events"][0]["seq"] == view["oldest"]
    assert [event["seq"] for event in view["events"]] == list(range(view["oldest"], view["head"] + 1))
    assert not house.call("events.since", {"seq": view["oldest"] - 1, "limit": 1})["gap"]
    # By age: what is two weeks old goes, in one piece from the beginning.
    house.kill_supervisor()
    with closing(sqlite3.connect(house.paths.database)) as database, database:
        database.execute("UPDATE events SET at = at - 15 * 86400000 WHERE seq <= ?", (view["head"] - 5,))
    house.start_supervisor()
    until(lambda: kept()["oldest"] > view["head"] - 5, "the old ones are gone")
    assert kept()["gap"]
    assert kept()["head"] > view["head"]


def cancelled(house: House, session: str) -> str:
    """A message that waits behind a turn."""
    house.send("[[gate hold]] echo: held", session, wait=0)
    assert house.model.wait_for_gate("hold", 30)
    return str(house.send("echo: not any more", session, wait=0)["message"]["id"])


def test_logs_rotate_and_hold_no_secret(quick: House) -> None:
    quick.config["log"] = {"level": "debug", "max_mb": 0.002, "keep_files": 3}
    quick.start_supervisor()
    quick.start_api()
    status, body = quick.http(
        "POST", "/api/chat", {"message": f"echo: {CANARY}-reply", "projectPath": str(quick.project)}
    )
    assert status == 200, body
    session = quick.ask(f"Remember the word {CANARY}", body["sessionId"])[1]
    status, _ = quick.http("GET", "/api/sessions", token=f"{CANARY}-wrong-token")
    assert status == 401
    quick.call("session.hibernate", {"sessionId": session})
    assert CANARY in quick.ask("What word did I ask you to remember?", session)[0]
    quick.kill_supervisor()
    quick.start_supervisor()
    # Nobody writes, or renames what is full, while it is read.
    quick.kill_api(signal.SIGTERM)
    quick.kill_supervisor(signal.SIGTERM)
    logs = sorted(quick.paths.log_dir.glob("supervisor.log*"))
    assert 2 <= len(logs) <= 4
    assert all(log.stat().st_size <= 2 * 2**20 * 0.002 for log in logs)
    for log in logs:
        assert all(json.loads(line)["event"] for line in log.read_text().splitlines())
    written = [*quick.paths.log_dir.iterdir(), *quick.folder.glob("*.err")]
    token = quick.config["claude"]["env"]["ANTHROPIC_AUTH_TOKEN"]
    for file in written:
        text = file.read_text()
        for secret in (CANARY, quick.token, token):
            assert secret not in text, f"{file.name} tells a secret"
    quick.start_supervisor()


def test_notification_command_hears_each_event_once(quick: House) -> None:
    told = quick.folder / "told"
    script = quick.folder / "notify.sh"
    script.write_text(f'#!/bin/sh\ncat >> "{told}"\necho >> "{told}"\n')
    script.chmod(0o700)
    quick.config["notify"] = {"command": [str(script)]}
    quick.start_supervisor()
    sent = quick.send('[[tool Bash {"command": "touch x"}]] echo: done', wait=0)
    session = sent["session"]["id"]
    quick.until_state(session, "waiting")

    def heard() -> list[str]:
        return [json.loads(line)["kind"] for line in told.read_text().splitlines()] if told.exists() else []

    def noted() -> bool:
        """That the command has ended is written down: one that the supervisor dies beside is run again."""
        seq = json.loads(told.read_text().splitlines()[-1])["seq"]
        with closing(sqlite3.connect(quick.paths.database)) as database:
            return bool(database.execute("SELECT 1 FROM meta WHERE key='notified' AND value=?", (str(seq),)).fetchone())

    until(lambda: heard() == ["waiting"], "told that it waits")
    until(noted, "it is noted")
    quick.kill_supervisor()
    quick.start_supervisor()
    quick.until_state(session, "waiting")
    quick.call("session.answer", {"sessionId": session, "choice": "deny"})
    quick.until_state(session, "idle")
    quick.call("settings.patch", {"values": {"sessions.warning_hours": 1 * SECOND}})
    until(lambda: "warning" in heard(), "told of the warning")
    quick.call("settings.patch", {"values": {"sessions.timeout_hours": 2 * SECOND}})
    quick.until_state(session, "ended")
    until(lambda: len(heard()) >= 3, "told of the end")
    assert heard() == ["waiting", "warning", "ended"], quick.events(session=session)
    seqs = [json.loads(line)["seq"] for line in told.read_text().splitlines()]
    assert seqs == sorted(set(seqs))
