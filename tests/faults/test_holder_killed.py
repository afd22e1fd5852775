"""A holder may die, or stop, at any moment: its `claude` is not left alone with a dead terminal, the conversation goes on,
and nobody else notices."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared import process
from supervisor.state.states import State
from supervisor.store.store import Store
from tests.conftest import LendHouse
from tests.faults.pausing import comes_back, dies_before_enter, kinds
from tests.faults.stand_in import Fake
from tests.faults.storage_lab import descriptors
from tests.faults.test_claude_killed import _sleepers
from tests.faults.test_limits import passes
from tests.harness import House, claude_binary, releases, until


def both(view: dict[str, Any]) -> tuple[process.ProcessId, process.ProcessId]:
    """The holder and the `claude` of a live session."""
    holder, claude = process.identify(view["holderPid"]), process.identify(view["pid"])
    assert holder is not None
    assert claude is not None
    return holder, claude


def kill_holder(house: House, session: str) -> process.ProcessId:
    """SIGKILL the session's holder; return its `claude`, which is then gone too."""
    holder, claude = both(house.session(session))
    assert process.send_signal(holder, signal.SIGKILL)
    until(lambda: not process.alive(claude), "its claude is gone")
    return claude


def test_killed_while_idle_the_session_comes_back_and_in_a_turn_the_reply_is_interrupted(house: House) -> None:
    _, session = house.ask("Remember the word FIG")
    house.until_state(session, "idle")
    dead = kill_holder(house, session)
    comes_back(house, session, dead)
    assert house.ask("What word did I ask you to remember?", session)[0] == "FIG"

    cut = house.send("[[midgate never]] echo: a long answer", session, wait=0)["message"]["id"]
    waits = house.send("echo: behind it", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("never", 30)
    until(lambda: house.message(cut)["state"] == "submitted", "Claude has told of the prompt")
    dead = kill_holder(house, session)
    assert house.message(cut, wait=30)["state"] == "interrupted"
    assert house.message(waits, wait=30)["reply"] == "behind it"
    comes_back(house, session, dead, 2)


@pytest.mark.parametrize("version", releases("editor_called"))
def test_killed_before_enter_the_message_goes_to_the_new_process_once(lend_house: LendHouse, version: str) -> None:
    dies_before_enter(lend_house(claude_binary(version)), kill_holder, "editor_called", "typed")


@pytest.mark.parametrize("version", releases("holder and claude"))
def test_holder_and_claude_killed_leave_no_task_behind(lend_house: LendHouse, version: str) -> None:
    house = lend_house(claude_binary(version), claude={"args": ["--allowedTools", "Bash"]})
    task = json.dumps({"command": "sleep 7654", "run_in_background": True})
    _, session = house.ask(f"[[tool Bash {task}]]")
    until(lambda: _sleepers(house), "the task runs")
    view = house.session(session)
    holder, claude = both(view)
    process.send_signal(claude, signal.SIGSTOP)  # so that it cannot end its own tasks
    process.send_signal(holder, signal.SIGKILL)
    process.send_signal(claude, signal.SIGKILL)
    comes_back(house, session, claude)
    assert not _sleepers(house)


def test_stopped_holder_is_unresponsive_and_recovers(quick: House) -> None:
    house = quick
    _, session = house.ask("echo: this one")
    _, other = house.ask("echo: other one")
    view = house.session(session)
    holder = process.identify(view["holderPid"])
    assert holder is not None
    assert house.supervisor is not None
    before = descriptors(house.supervisor.pid)
    process.send_signal(holder, signal.SIGSTOP)
    until(lambda: house.session(session)["health"] == "unresponsive", "it is noticed")
    assert house.session(session)["state"] == "unknown"
    assert house.ask("echo: not my business", other)[0] == "not my business"
    passes(house)
    assert kinds(house, session, "unresponsive", "responsive") == ["unresponsive"], "said once"
    process.send_signal(holder, signal.SIGCONT)
    assert house.until_state(session, "idle")["pid"] == view["pid"]
    assert kinds(house, session, "unresponsive", "responsive") == ["unresponsive", "responsive"]
    until(lambda: descriptors(house.supervisor.pid) <= before, "descriptors are given back")

    process.send_signal(holder, signal.SIGSTOP)
    until(lambda: len(kinds(house, session, "unresponsive")) == 2, "it is noticed again")
    held = house.send("echo: held", session, wait=0)["message"]["id"]
    # A supervisor that starts now serves the others at once, and knows no better about this one.
    house.kill_supervisor()
    house.start_supervisor()
    assert house.ask("echo: still not", other)[0] == "still not"
    assert house.session(session)["state"] == "unknown"
    until(lambda: len(kinds(house, session, "unresponsive")) == 3, "it is noticed by the next one, too")
    process.send_signal(holder, signal.SIGCONT)
    assert house.message(held, wait=30)["reply"] == "held"
    after = house.session(session)
    assert (after["pid"], after["health"], after["generation"]) == (view["pid"], "ok", 1)
    assert kinds(house, session, "crashed", "resumed", "ended") == []
    assert kinds(house, other, "unresponsive", "crashed") == []


def test_holder_that_is_slow_when_a_supervisor_starts_is_not_called_unresponsive(
    lend_house: LendHouse, one_cli: Path
) -> None:
    house = lend_house(one_cli)
    _, session = house.ask("echo: hello")
    pid = house.session(session)["pid"]
    holder, _ = both(house.session(session))
    house.kill_supervisor()
    process.send_signal(holder, signal.SIGSTOP)
    house.start_supervisor()
    assert house.session(session)["state"] == "unknown"
    process.send_signal(holder, signal.SIGCONT)
    assert house.until_state(session, "idle")["pid"] == pid
    assert kinds(house, session, "unresponsive", "responsive", "crashed") == []


def test_session_of_a_stopped_holder_can_be_killed_whether_its_claude_lives_or_not(fake: Callable[..., Fake]) -> None:
    house = fake().house
    for dead in (False, True):
        _, session = house.ask("echo: hello")
        holder, claude = both(house.session(session))
        process.send_signal(holder, signal.SIGSTOP)
        if dead:
            process.send_signal(claude, signal.SIGKILL)
            until(lambda claude=claude: not process.alive(claude), "only a zombie is left")
        ended = house.call("session.kill", {"sessionId": session})
        assert (ended["state"], ended["endReason"]) == ("ended", "killed")
        assert not any(process.alive(member) for member in (holder, claude))


def test_a_process_that_nobody_counts_is_ended(quick: House) -> None:
    """A holder that was stopped during its start comes up when the start has long been given up."""
    house = quick
    _, session = house.ask("Remember the word MEDLAR")
    holder, claude = both(house.session(session))
    house.kill_supervisor()
    with closing(Store(house.paths.database)) as store:
        record = store.session(session)
        assert record is not None
        record.state, record.child, record.holder = State.HIBERNATED, None, None
        store.save_session(record)
    house.start_supervisor()
    until(lambda: not process.alive(claude) and not process.alive(holder), "nobody would ever have ended it")
    until(lambda: kinds(house, session, "late_process_ended"), "it is said")
    assert house.ask("What word did I ask you to remember?", session)[0] == "MEDLAR"
