"""The clock is set, the machine sleeps or reboots: nothing expires that is not due, and nothing is said twice."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from supervisor import clock
from supervisor.store.store import Store, now_ms
from tests.conftest import MakeHouse
from tests.harness import House, until

HOUR = 3600.0
DAY = 24 * HOUR


class Clocks:
    """Both clocks of a supervisor that runs, moved by so many seconds from the truth."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0.0, 0.0)

    def set(self, wall: float, lifetime: float) -> None:
        """The wall clock was set; `lifetime` counts what the machine has slept."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{wall} {lifetime}")
        fresh.rename(self._file)


@pytest.fixture
def clocks(folder: Path) -> Clocks:
    return Clocks(folder / "clock")


@pytest.fixture
def quick(make_house: MakeHouse, one_cli: Path, folder: Path, clocks: Clocks) -> House:
    """A house whose health pass runs all the time, and whose clocks can be moved."""
    house = make_house(one_cli)
    house.config["health"] = {"interval_seconds": 0.2}
    house.extra_env["PILOTLIGHT_CLOCK_FILE"] = str(folder / "clock")
    house.start_supervisor()
    return house


def passes(house: House, count: int = 4) -> None:
    """Wait for so many more health passes."""

    def done() -> int:
        return int(house.call("metrics")["counters"]["health_passes"])

    before = done()
    until(lambda: done() >= before + count, f"{count} health passes")


def said(house: House, since: int) -> Counter[str]:
    return Counter(event["kind"] for event in house.events(since))


def test_setting_the_wall_clock_expires_nothing_and_sleep_of_the_machine_counts_and_is_said_once(
    quick: House, clocks: Clocks
) -> None:
    _, session = quick.ask("Remember the word DAMSON")
    _, asleep = quick.ask("echo: sleepy")
    quick.call("session.hibernate", {"sessionId": asleep})
    quick.until_state(session, "idle")
    head = quick.call("ping")["head"]
    for wall in (DAY, -DAY, 2 * DAY, 0.0):
        clocks.set(wall, 0.0)
        passes(quick)
    assert not said(quick, head)
    clocks.set(-DAY, 0.0)
    assert quick.ask("What word did I ask you to remember?", session)[0] == "DAMSON"
    clocks.set(DAY, 0.0)
    assert quick.ask("echo: on we go", asleep)[0] == "on we go"
    assert not {"warning", "ended"} & set(said(quick, head))
    clocks.set(0.0, 0.0)
    for name in (session, asleep):
        quick.until_state(name, "idle")
    the_machine_sleeps(quick, clocks, session, asleep)


def the_machine_sleeps(quick: House, clocks: Clocks, session: str, other: str) -> None:
    """For an hour, a day, and longer than a session may be silent."""
    head = quick.call("ping")["head"]
    clocks.set(HOUR, HOUR)
    passes(quick)
    assert not said(quick, head), "an hour is nothing"
    clocks.set(21 * HOUR, 21 * HOUR)
    passes(quick)
    assert said(quick, head) == {"warning": 2}
    quick.ask("echo: awake", other)
    head = quick.call("ping")["head"]
    clocks.set(25 * HOUR, 25 * HOUR)
    quick.until_state(session, "ended")
    passes(quick)
    seen = said(quick, head)
    assert (seen["ended"], seen["warning"]) == (1, 0)
    assert quick.session(session)["endReason"] == "expired"
    assert quick.session(other)["state"] == "idle"


def test_restart_under_a_wrong_wall_clock_expires_nothing_and_a_reboot_counts_by_it(
    quick: House, clocks: Clocks
) -> None:
    _, session = quick.ask("echo: hello")
    quick.kill_supervisor()
    clocks.set(30 * DAY, 0.0)
    quick.start_supervisor()
    passes(quick)
    quick.until_state(session, "idle")
    assert "ended" not in said(quick, 0)
    assert said(quick, 0)["created"] == 1, "and the journal is not a month older either"
    assert quick.events()[0]["seq"] == 1
    # Whoever was used first sleeps first, whatever the wall clock said then.
    clocks.set(-DAY, 0.0)
    _, later = quick.ask("echo: used last, a day before")
    stamps: list[dict[str, Any]] = quick.events(session=later)
    assert stamps
    assert all(abs(event["at"] / 1000 - (time.time() - DAY)) < 600 for event in stamps), "stamps are the wall clock's"
    assert now_ms() - quick.session(later)["lastActivity"] > (DAY - 600) * 1000
    quick.call("settings.patch", {"values": {"sessions.max_concurrent": 1}})
    assert quick.until_state(session, "hibernated")["pid"] is None
    assert quick.until_state(later, "idle")["pid"] is not None
    quick.call("session.kill", {"sessionId": later})
    after_a_reboot(quick, clocks, session)


def after_a_reboot(quick: House, clocks: Clocks, session: str) -> None:
    """The wall clock decides about one that sleeps, and is not believed backward."""

    def reboot(wall: float) -> None:
        quick.kill_supervisor()
        with closing(Store(quick.paths.database)) as store:
            record = store.session(session)
            assert record is not None
            record.activity_boot, record.activity_clock = "another boot", clock.now() + 1e6
            store.save_session(record)
        clocks.set(wall, 0.0)
        quick.start_supervisor()
        passes(quick)

    for wall in (-DAY, 19 * HOUR):
        reboot(wall)
        assert quick.session(session)["state"] == "hibernated"
        assert not quick.session(session)["warned"]
    reboot(25 * HOUR)
    assert quick.until_state(session, "ended")["endReason"] == "expired"


def test_a_refused_service_holds_the_queue_for_a_minute_whatever_the_wall_clock_says(
    make_house: MakeHouse, cli: Path, folder: Path, clocks: Clocks
) -> None:
    house = make_house(cli)
    house.config["health"] = {"interval_seconds": 0.2}
    house.config["claude"]["env"]["CLAUDE_CODE_MAX_RETRIES"] = "1"  # 2.1.197 would go on for three minutes
    house.extra_env["PILOTLIGHT_CLOCK_FILE"] = str(folder / "clock")
    house.start_supervisor()
    _, session = house.ask("echo: warm")
    refused = house.send("[[status 429]] echo: no", session)["message"]
    assert (refused["state"], refused["error"]["code"], refused["error"]["status"]) == ("failed", "rate_limit", 429)
    waits = house.send("echo: after the hold", session, wait=0)["message"]["id"]
    held = house.until_state(session, "waiting")["waiting"]
    assert (held["for"], [choice["id"] for choice in held["choices"]]) == ("rate_limit", ["retry"])
    head = house.call("ping")["head"]
    for wall in (DAY, -DAY):
        clocks.set(wall, 0.0)
        passes(house)
    clocks.set(DAY, 0.0)
    house.kill_supervisor()
    house.start_supervisor()
    house.until_state(session, "waiting")
    passes(house)
    assert house.session(session)["waiting"]["id"] == held["id"]
    assert house.message(waits)["state"] == "queued"
    assert not {"message", "waiting", "warning"} & set(said(house, head)), "nothing is news"
    clocks.set(0.0, 61.0)
    assert until(lambda: house.message(waits)["reply"], "it is sent after all", 60) == "after the hold"
