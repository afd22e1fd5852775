"""Memory, CPU and places are really limited; what is stuck or silent is said once, and nothing honest is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared import process
from shared.errors import Busy, Conflict
from supervisor.pool.admission import CPU_PATIENCE_SECONDS, STARTS_AT_ONCE, STARTUP_SECONDS
from tests.conftest import LendHouse
from tests.faults.stand_in import Fake
from tests.faults.storage_lab import descriptors
from tests.harness import House, until

HOG = "python3 -c \"import time; x = b'x' * ({} << 20); time.sleep(600)\""


def of_kind(house: House, kind: str, session: str | None = None) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events(session=session) if event["kind"] == kind]


def passed(house: House) -> int:
    return int(house.call("metrics")["counters"]["health_passes"])


def passes(house: House, count: int = 4) -> None:
    before = passed(house)
    until(lambda: passed(house) >= before + count, f"{count} health passes")


def patch(house: House, **values: Any) -> None:
    house.call("settings.patch", {"values": {name.replace("__", "."): value for name, value in values.items()}})


def test_busy_machine_delays_a_start_once_and_not_for_ever(quick: House) -> None:
    patch(quick, limits__cpu_percent=0.01)
    until(lambda: quick.call("metrics")["cpuPercent"] > 0.01, "the machine is measured to be busy")
    began = time.monotonic()
    session = quick.call("session.create", {"projectPath": str(quick.project)})["id"]
    assert time.monotonic() - began >= CPU_PATIENCE_SECONDS
    quick.until_state(session, "idle")
    (event,) = of_kind(quick, "start_delayed", session)
    assert event["cpuPercent"] > event["limit"] == 0.01
    sent = quick.send("echo: soon", wait=0)
    until(lambda: of_kind(quick, "start_delayed", sent["session"]["id"]), "the next one is delayed")
    patch(quick, limits__cpu_percent=100)
    assert quick.message(sent["message"]["id"], wait=30)["reply"] == "soon"


def everyone(house: House) -> list[str]:
    """Every session that there is or was."""
    return [view["id"] for view in house.call("session.list", {"includeEnded": True})["sessions"]]


def test_memory_pressure_with_nothing_idle_refuses_new_starts_and_recovers(quick: House) -> None:
    _, session = quick.ask("echo: warm")
    sent = quick.send("[[gate turn]] echo: finished", session, wait=0)["message"]["id"]
    assert quick.model.wait_for_gate("turn", 30)
    patch(quick, limits__memory_total_gb=0.01)
    passes(quick)
    before = everyone(quick)
    for _ in range(2):
        with pytest.raises(Busy, match=r"limits\.memory_total_gb") as refusal:
            quick.call("session.create", {"projectPath": str(quick.project)})
        assert (refusal.value.error_code, refusal.value.status) == ("memory_exhausted", 429)
        assert refusal.value.data["retryAfter"] > 0
    assert everyone(quick) == before
    assert quick.session(session)["state"] == "busy"
    quick.model.release("turn")
    assert quick.message(sent, wait=30)["reply"] == "finished"
    assert quick.until_state(session, "hibernated")["pid"] is None
    patch(quick, limits__memory_total_gb=None)
    assert quick.ask("echo: room again")[0] == "room again"
    passes(quick, 1)
    said = [(event["what"], event["short"]) for event in of_kind(quick, "pressure")]
    assert said == [("memory_total", True), ("memory_total", False)]


def test_with_less_room_fewer_sessions_stay_warm_and_with_more_they_stay(quick: House) -> None:
    first, second = sessions = [quick.ask(f"echo: {number}")[1] for number in range(2)]
    for session in sessions:
        quick.until_state(session, "idle")
    patch(quick, sessions__max_concurrent=1)
    assert quick.until_state(first, "hibernated")["pid"] is None, "the least recently used one, at once"
    assert quick.session(second)["state"] == "idle"
    patch(quick, limits__memory_free_percent=99.9)
    quick.until_state(second, "hibernated")
    patch(quick, limits__memory_free_percent=None, sessions__max_concurrent=None)
    until(lambda: len(of_kind(quick, "pressure")) == 2, "said when it begins and when it is over")
    short, over = of_kind(quick, "pressure")
    assert (short["what"], short["short"], over["short"]) == ("machine_memory", True, False)
    assert short["freePercent"] < short["limitPercent"] == 99.9
    causes = [
        [change["cause"] for change in of_kind(quick, "state", session) if change["to"] == "hibernated"]
        for session in sessions
    ]
    assert causes == [["room_needed"], ["machine_memory"]]
    for session in sessions:
        assert quick.ask("echo: warm again", session)[0] == "warm again"
    passes(quick)
    for session in sessions:
        quick.until_state(session, "idle")


def test_grandchild_that_eats_memory_is_counted_and_its_session_replaced(lend_house: LendHouse, one_cli: Path) -> None:
    house = lend_house(one_cli, claude={"args": ["--allowedTools", "Bash"]})
    patch(house, health__interval_seconds=0.3)
    _, session = house.ask("Remember the word TULIP")
    passes(house, 2)  # what was measured while it started is less than what it needs
    base = until(lambda: house.session(session)["memoryBytes"], "memory was measured") >> 20
    hog = int(base * 2.2) + 100
    patch(house, limits__memory_per_session_mb=base * 1.5)
    command = json.dumps({"command": HOG.format(hog)})
    sent = house.send(f"[[tool Bash {command}]] echo: never", session, wait=0)["message"]["id"]
    event = until(lambda: of_kind(house, "memory", session), "the replacement is said")[0]
    assert event["action"] == "replace"
    assert event["bytes"] >> 20 >= hog
    assert event["bytes"] >> 20 < hog + 2.5 * base, "a tree is counted once"
    assert house.message(sent, wait=30)["state"] == "interrupted"
    house.until_state(session, "idle")
    assert house.ask("What word did I ask you to remember?", session)[0] == "TULIP"
    assert not hogs(house)
    assert len(of_kind(house, "memory", session)) == 1


def hogs(house: House) -> list[int]:
    """Its processes that eat memory."""
    found = []
    for member in house.marked():
        with suppress(OSError):  # it has ended meanwhile
            if b"<< 20" in Path(f"/proc/{member.pid}/cmdline").read_bytes():
                found.append(member.pid)
    return found


def queue_of(house: House, session: str, word: str, count: int) -> list[str]:
    """Messages that keep a session at work without a pause."""
    return [
        house.send(f"[[slow 1]] echo: {word} {number}", session, wait=0)["message"]["id"] for number in range(count)
    ]


def test_a_session_that_always_has_work_makes_room_between_two_turns(quick: House) -> None:
    house = quick
    patch(house, health__interval_seconds=2, sessions__max_concurrent=1)
    sleeper = house.ask("Remember the word SLOE")[1]
    worker = house.ask("echo: warm")[1]
    house.until_state(sleeper, "hibernated")
    # The queue of one that sleeps is served before that of the other is done, which then goes on.
    queue = queue_of(house, worker, "worker", 25)
    house.until_state(worker, "busy")
    waits = house.send("What word did I ask you to remember?", sleeper, wait=0)["message"]["id"]
    assert house.message(waits, wait=60)["reply"] == "SLOE"
    assert house.message(queue[-1])["state"] == "queued", "it did not wait for the end"
    causes = [change["cause"] for change in of_kind(house, "state", worker) if change["to"] == "hibernated"]
    assert causes == ["room_needed"]
    for message in reversed(queue):
        with suppress(Conflict):
            house.call("message.cancel", {"messageId": message})
    until(lambda: house.session(worker)["queueLength"] == 0, "the rest is cancelled or answered")
    fates = {house.message(message)["state"] for message in queue}
    assert fates == {"answered", "cancelled"}
    # Over its limit it is recycled between two turns as well, and loses none of its queue.
    assert house.ask("echo: awake", worker)[0] == "awake"
    for number in range(3):
        assert house.ask(f"echo: grown {number}", worker)[0] == f"grown {number}"
    # What was measured while it started is less than what it needs: twice the limit would then be passed, too.
    passes(house, 2)
    used = until(lambda: house.session(worker)["memoryBytes"], "measured") / 1024**2
    generation = house.session(worker)["generation"]
    queue = queue_of(house, worker, "again", 5)
    house.until_state(worker, "busy")
    patch(house, limits__memory_per_session_mb=max(64.0, used * 0.7))
    assert [house.message(message, wait=60)["reply"] for message in queue] == [f"again {number}" for number in range(5)]
    assert house.session(worker)["generation"] > generation
    assert {event["action"] for event in of_kind(house, "memory", worker)} == {"recycle"}
    told = Counter(turn.text for turn in house.model.turns() if turn.attempt == 1)
    assert set(told.values()) == {1}, "nothing was typed twice"


def test_stuck_turn_is_said_once_and_never_killed(quick: House) -> None:
    _, session = quick.ask("echo: warm")
    pid = quick.session(session)["pid"]
    patch(quick, health__stuck_minutes=0.02)
    sent = quick.send("[[gate turn]] echo: slow but honest", session, wait=0)["message"]["id"]
    until(lambda: of_kind(quick, "stuck", session), "it is said")
    assert quick.session(session)["health"] == "stuck"
    passes(quick)
    assert len(of_kind(quick, "stuck", session)) == 1
    assert quick.session(session)["pid"] == pid
    quick.model.release("turn")
    assert quick.message(sent, wait=30)["reply"] == "slow but honest"
    until(lambda: quick.session(session)["health"] == "ok", "well again")


def test_revival_of_many_is_no_stampede(fake: Callable[..., Fake]) -> None:
    house = fake().house
    sessions = [house.ask(f"word {number}")[1] for number in range(STARTS_AT_ONCE + 1)]
    everyone = [house.session(session) for session in sessions]
    house.kill_supervisor()
    for view in everyone:
        for name in ("holderPid", "pid"):
            if (living := process.identify(view[name])) is not None:
                process.send_signal(living, signal.SIGKILL)
    until(lambda: all(process.identify(view["pid"]) is None for view in everyone), "as after a reboot")
    head = quick_head(house)
    house.start_supervisor()
    for session in sessions:
        house.until_state(session, "idle")
    starting: dict[str, int] = {}
    most = 0
    for event in house.events(head):
        if event["kind"] == "state":
            starting.pop(event["session"], None)
            if event["data"]["to"] == "starting":
                starting[event["session"]] = event["at"]
                # One that takes very long on a busy machine keeps the next ones waiting no more.
                recent = [at for at in starting.values() if event["at"] - at < STARTUP_SECONDS * 1000]
                most = max(most, len(recent))
    assert most == STARTS_AT_ONCE
    assert [len(of_kind(house, "crashed", session)) for session in sessions] == [1] * len(sessions)
    assert house.ask("and now?", sessions[-1])[0] == "You said: and now?"


def quick_head(house: House) -> int:
    """The journal's head while no supervisor runs."""
    from contextlib import closing

    from supervisor.store.store import Store

    with closing(Store(house.paths.database)) as store:
        return store.head()


def test_terminals_and_descriptors_are_given_back(quick: House) -> None:
    assert quick.supervisor is not None
    _, first = quick.ask("echo: warm")
    assert terminals(quick)
    quick.call("session.hibernate", {"sessionId": first})
    before = descriptors(quick.supervisor.pid)
    assert quick.ask("echo: again", first)[0] == "again"
    quick.call("session.hibernate", {"sessionId": first})
    until(lambda: descriptors(quick.supervisor.pid) <= before, "descriptors are given back")
    until(lambda: not terminals(quick), "terminals are given back")


def terminals(house: House) -> list[str]:
    """Those that a process of this house has open, at either end; other tests beside this one have terminals, too."""
    found = []
    for member in house.marked():
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{member.pid}/fd"):
                with suppress(OSError):
                    found.append(os.readlink(entry.path))
    return [name for name in found if re.fullmatch(r"/dev/(pts/)?ptmx|/dev/pts/\d+", name)]
