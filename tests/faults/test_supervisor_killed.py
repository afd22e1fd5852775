"""The supervisor may die at any moment: the same `claude` goes on, and every message is answered exactly once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from shared import process
from tests.conftest import LendHouse
from tests.faults.pausing import Pauses, fates, first_tries, kinds
from tests.harness import House, claude_binary, releases, until

READY_SECONDS = 20.0
"""Generous, for machines that do other things too; `python -m bench` holds it to one second."""


class Household:
    """A house, one warm session, and what it must not lose."""

    def __init__(self, house: House, pauses: Pauses) -> None:
        self.house, self.pauses = house, pauses
        _, self.session = house.ask("echo: warm")
        self.pid = house.session(self.session)["pid"]
        self.sent: dict[str, str] = {}
        self.prompts = ["echo: warm"]
        self.ready: list[float] = []

    def send(self, prompt: str, reply: str) -> str:
        """Accept one message; it must be answered with `reply`."""
        message = self.house.send(prompt, self.session, wait=0)["message"]["id"]
        self.sent[message] = reply
        self.prompts.append(prompt)
        return str(message)

    def crash(self) -> None:
        """SIGKILL, start again, and time how long until it serves and knows the session's state."""
        self.house.kill_supervisor()
        started = time.monotonic()
        self.house.start_supervisor()
        ping = self.house.call("ping")
        assert ping["ready"]
        until(lambda: self.house.session(self.session)["state"] not in ("unknown", "starting"), "known", READY_SECONDS)
        self.ready.append(time.monotonic() - started)

    def check(self) -> None:
        """Same process; each message answered once, with its own reply, and each prompt seen once, in order."""
        for message, reply in self.sent.items():
            receipt = self.house.message(message, wait=30)
            assert (receipt["state"], receipt["reply"]) == ("answered", reply), receipt
        assert first_tries(self.house) == self.prompts
        assert set(fates(self.house, self.session).values()) == {"answered"}
        view = self.house.session(self.session)
        assert (view["pid"], view["generation"], view["queueLength"]) == (self.pid, 1, 0)
        assert kinds(self.house, self.session, "crashed", "resumed", "ended") == []
        assert kinds(self.house, self.session, "adopted") == ["adopted"] * len(self.ready)
        assert max(self.ready) < READY_SECONDS
        print(f"ready after {sorted(round(t, 3) for t in self.ready)} s")


@pytest.fixture
def household(lend_house: LendHouse, request: pytest.FixtureRequest) -> Household:
    house = lend_house(claude_binary(request.param))
    return Household(house, Pauses(house))


AT_POINTS = ("armed", "editor_called", "claimed", "typed", "entered", "submitted")


@pytest.mark.parametrize("household", releases("test_sigkill_while_typing_types_nothing_twice"), indirect=True)
def test_sigkill_while_typing_types_nothing_twice(household: Household) -> None:
    for number, point in enumerate(AT_POINTS):
        household.pauses.hold(point)
        message = household.send(f"echo: typed {number}", f"typed {number}")
        follower = household.send(f"echo: behind {number}", f"behind {number}")
        household.pauses.reached(point)
        household.house.kill_supervisor()
        household.pauses.release(point)
        household.house.start_supervisor()
        household.ready.append(0.0)
        for waiting in (message, follower):
            assert household.house.message(waiting, wait=30)["state"] == "answered", point
    household.check()


@pytest.mark.parametrize("household", releases("test_sigkill_while_claude_waits_streams_and_answers"), indirect=True)
def test_sigkill_while_claude_waits_streams_and_answers(household: Household) -> None:
    model, house = household.house.model, household.house
    for number in range(2):
        household.send(f"[[gate g{number}]] echo: waited {number}", f"waited {number}")
        assert model.wait_for_gate(f"g{number}", 30)
        household.crash()
        model.release(f"g{number}")
        household.send(f"[[midgate m{number}]] echo: streamed {number}", f"streamed {number}")
        assert model.wait_for_gate(f"m{number}", 30)
        household.crash()
        model.release(f"m{number}")
    # While nobody listens Claude ends the turn: its Stop hook is read by the next supervisor.
    message = household.send("[[gate away]] echo: said to nobody", "said to nobody")
    assert model.wait_for_gate("away", 30)
    house.kill_supervisor()
    hooks = house.paths.session_dir(household.session) / "hooks.log"
    stops = hooks.read_text().count("\nhook Stop ")
    model.release("away")
    # Hooks run side by side: the last line need not be the Stop's.
    until(lambda: hooks.read_text().count("\nhook Stop ") > stops, "the turn has ended")
    house.start_supervisor()
    household.ready.append(0.0)
    assert house.message(message, wait=30)["reply"] == "said to nobody"
    # The last step before the reply is stored.
    household.pauses.hold("settled")
    household.send("echo: nearly stored", "nearly stored")
    household.pauses.reached("settled")
    household.crash()
    household.pauses.release("settled")
    household.check()


def test_sigkill_12_times_in_a_row_loses_no_message(lend_house: LendHouse, one_cli: Path) -> None:
    """At any moment; those that are known to matter are chosen by the tests above."""
    house = lend_house(one_cli)
    household = Household(house, Pauses(house))
    dice = random.Random(25)
    for number in range(12):
        kind = dice.choice(("echo:", "[[stream 0.3]] echo:", "[[slow 0.2]] echo:"))
        household.send(f"{kind} message {number}", f"message {number}")
        moment = time.monotonic() + dice.uniform(0.0, 0.5)
        until(lambda moment=moment: time.monotonic() >= moment, "a moment")
        household.crash()
    household.check()
    assert len(household.ready) == 12


def test_sigkill_in_the_middle_of_a_start_makes_one_process(house: House, cli: Path) -> None:
    pauses = Pauses(house)
    for point in ("spawning", "launched"):
        pauses.hold(point)
        sent = house.send(f"echo: begun {point}", wait=0)
        pauses.reached(point)
        house.kill_supervisor()
        pauses.release(point)
        house.start_supervisor()
        assert house.message(sent["message"]["id"], wait=30)["reply"] == f"begun {point}"
        assert fates(house, sent["session"]["id"]) == {f"echo: begun {point}": "answered"}
        view = house.session(sent["session"]["id"])
        claudes = [
            p for p in house.marked() if str(cli).encode() in _command(p.pid) and b"holder" not in _command(p.pid)
        ]
        assert view["pid"] in {p.pid for p in claudes}
        house.call("session.kill", {"sessionId": view["id"]})


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("point", ["stopping"])
def test_sigkill_in_the_middle_of_a_stop_finishes_the_stop(house: House, point: str) -> None:
    pauses = Pauses(house)
    for op, state in (("session.kill", "ended"), ("session.hibernate", "hibernated")):
        _, session = house.ask("Remember the word KIWI")
        pid = house.session(session)["pid"]
        until(lambda session=session: house.session(session)["state"] == "idle", "idle")
        pauses.hold(point)
        house.bus.submit(op, {"sessionId": session}, timeout=1.0)
        pauses.reached(point)
        house.kill_supervisor()
        pauses.release(point)
        house.start_supervisor()
        view = house.until_state(session, state)
        assert view["endReason"] == ("killed" if state == "ended" else None)
        assert process.identify(pid) is None
        if state == "hibernated":
            assert house.ask("What word did I ask you to remember?", session)[0] == "KIWI"
