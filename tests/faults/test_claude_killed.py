"""`claude` may die at any moment: it comes back with its conversation, the queue is held and then delivered, a reply that
was cut off is `interrupted` and not silently repeated, and nothing of the old process is left."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

from shared import process
from shared.errors import PilotlightError
from tests.conftest import LendHouse, MakeHouse
from tests.faults.pausing import Pauses, comes_back, dies_before_enter, fates, first_tries, kinds
from tests.harness import House, claude_binary, releases, until

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)


def kill_claude(house: House, session: str, number: int = signal.SIGKILL) -> process.ProcessId:
    """Signal the session's `claude`, and wait until that very process is gone."""
    victim = process.identify(house.session(session)["pid"])
    assert victim is not None
    assert process.send_signal(victim, number)
    until(lambda: not process.alive(victim), "claude is dead")
    return victim


def test_killed_while_idle_it_comes_back_with_its_memory_and_without_its_background_task(
    lend_house: LendHouse, cli: Path
) -> None:
    house = lend_house(cli, claude={"args": ["--allowedTools", "Bash"]})
    _, session = house.ask("Remember the word PAPAYA")
    task = json.dumps({"command": "sleep 7654", "run_in_background": True})
    house.ask(f"[[tool Bash {task}]]", session)
    until(lambda: _sleepers(house), "the task runs")
    until(lambda: house.session(session)["backgroundTasks"], "the Stop hook has told of it")
    own = house.claude_home / ".claude" / "sessions"
    for times, number in enumerate(SIGNALS, 1):
        house.until_state(session, "idle")
        dead = kill_claude(house, session, number)
        comes_back(house, session, dead, times)
        assert not _sleepers(house)
        assert house.session(session)["backgroundTasks"] == []
        assert house.ask("What word did I ask you to remember?", session)[0] == "PAPAYA", number.name
        assert not list(own.glob(f"{dead.pid}.*")), number.name


@pytest.mark.parametrize("version", releases("armed"))
def test_killed_before_enter_the_message_goes_to_the_new_process_once(lend_house: LendHouse, version: str) -> None:
    dies_before_enter(lend_house(claude_binary(version)), kill_claude, "armed", "editor_called", "claimed", "typed")


def test_killed_in_a_turn_its_first_or_another_the_reply_is_interrupted_and_not_repeated(house: House) -> None:
    sent = house.send("[[gate first]] echo: nothing yet", wait=0)
    session = sent["session"]["id"]
    assert house.model.wait_for_gate("first", 30)
    until(lambda: house.message(sent["message"]["id"])["state"] == "submitted", "Claude has told of the prompt")
    dead = kill_claude(house, session)
    assert house.message(sent["message"]["id"], wait=30)["state"] == "interrupted"
    comes_back(house, session, dead)
    assert house.ask("echo: still here", session)[0] == "still here"
    told = ["[[gate first]] echo: nothing yet", "echo: still here"]
    for times, gate in enumerate(("gate", "midgate"), 2):
        prompts = [f"[[{gate} never-{gate}]] echo: a long answer", f"echo: behind {gate}"]
        cut, waits = (house.send(prompt, session, wait=0)["message"]["id"] for prompt in prompts)
        assert house.model.wait_for_gate(f"never-{gate}", 30)
        until(lambda cut=cut: house.message(cut)["state"] == "submitted", "Claude has told of the prompt")
        dead = kill_claude(house, session)
        receipt = house.message(cut, wait=30)
        assert (receipt["state"], receipt["error"]["code"]) == ("interrupted", "interrupted")
        assert house.message(waits, wait=30)["reply"] == f"behind {gate}"
        comes_back(house, session, dead, times)
        told += prompts
        assert first_tries(house) == told
    assert sorted(fates(house, session).values()) == ["answered"] * 3 + ["interrupted"] * 3


def _sleepers(house: House) -> list[int]:
    found = []
    for member in house.marked():
        try:
            words = Path(f"/proc/{member.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", b"7654"]:
            found.append(member.pid)
    return found


def test_one_that_always_dies_is_given_up(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    switch = house.folder / "broken"
    wrapper = house.folder / "claude"
    wrapper.write_text(f'#!/bin/sh\n[ -e {switch} ] && {{ echo "no more"; exit 7; }}\nexec {one_cli} "$@"\n')
    wrapper.chmod(0o755)
    house.config["claude"]["command"] = str(wrapper)
    house.config["health"] = {"restart_seconds": 0.05, "restart_limit": 4}
    pauses = Pauses(house)
    house.start_supervisor()
    _, session = house.ask("Remember the word LYCHEE")
    switch.touch()
    pauses.hold("exited")  # or it may have been given up before it gets the message
    dead = kill_claude(house, session)
    pauses.reached("exited")
    waits = house.send("echo: wait for me", session, wait=0)["message"]["id"]
    pauses.release("exited")
    ended = house.until_state(session, "ended")
    assert (ended["endReason"], ended["pid"]) == ("crashed", None)
    assert ended["endDetail"] == "`claude` kept ending (exit status 7), 4 times in a row: no more"
    died = [event["data"]["lastWords"] for event in house.events(session=session) if event["kind"] == "crashed"]
    assert died == ["", *["no more"] * 3]
    assert '"last_words": "no more"' in (house.paths.log_dir / "supervisor.log").read_text()
    assert kinds(house, session, "crashed", "ended") == ["crashed"] * 4 + ["ended"]
    receipt = house.message(waits)
    assert (receipt["state"], receipt["error"]["code"]) == ("failed", "claude_crashed")
    assert dead.pid not in {member.pid for member in house.marked()}
    # It worked before, so it can be had back when the cause is gone.
    switch.unlink()
    house.call("session.reopen", {"sessionId": session})
    assert house.ask("What word did I ask you to remember?", session)[0] == "LYCHEE"


def test_a_claude_started_by_hand_keeps_its_conversation_and_beside_a_live_one_gets_it(house: House, cli: Path) -> None:
    _, session = house.ask("Remember the word GUAVA")
    ours = house.until_state(session, "idle")["pid"]
    by_hand = _by_hand(house, cli, session)
    try:
        status = house.claude_home / ".claude" / "sessions" / f"{by_hand.pid}.json"
        until(lambda: _drain(by_hand) and has_open(status, session), "it has the conversation open")
        refused = house.send("echo: not beside you", session)["message"]
        assert (refused["state"], refused["error"]["code"]) == ("failed", "conversation_in_use")
        assert f"pid {by_hand.pid}" in refused["error"]["message"]
        house.call("settings.patch", {"values": {"health.interval_seconds": 0.3}})
        assert house.until_state(session, "hibernated")["pid"] is None
        (event,) = [event["data"] for event in house.events(session=session) if event["kind"] == "conversation_shared"]
        assert event["pid"] == by_hand.pid != ours
        # Asleep, it is not woken beside the other.
        refused = house.send("echo: me too", session)["message"]
        assert (refused["state"], refused["error"]["code"], refused["error"]["status"]) == (
            "failed",
            "conversation_in_use",
            502,
        )
        assert str(by_hand.pid) in refused["error"]["message"]
        assert house.session(session)["state"] == "hibernated"
        assert process.identify(by_hand.pid) is not None
        assert first_tries(house) == ["Remember the word GUAVA"]
    finally:
        _end(by_hand)
    # A file that it did not get to remove stops nobody.
    status.write_text(json.dumps({"pid": 1, "sessionId": session, "procStart": "1", "status": "idle"}))
    assert house.ask("What word did I ask you to remember?", session)[0] == "GUAVA"


def has_open(status: Path, session: str) -> bool:
    """Whether Claude's status file is there and, a moment later, names the conversation."""
    return status.exists() and session in status.read_text()


def _by_hand(house: House, cli: Path, session: str) -> pexpect.spawn:  # type: ignore[type-arg]
    environment = {**house.config["claude"]["env"], "PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}
    environment["TMPDIR"] = str(house.folder)  # what it leaves when it is killed
    return pexpect.spawn(str(cli), ["--resume", session], env=environment, cwd=str(house.project), dimensions=(40, 120))


def _end(child: pexpect.spawn) -> None:  # type: ignore[type-arg]
    """SIGKILL; pexpect's own `close` gives up on a busy machine."""
    child.kill(signal.SIGKILL)
    until(lambda: not child.isalive(), "it has ended")
    child.close()


def _drain(child: pexpect.spawn) -> bool:  # type: ignore[type-arg]
    try:
        child.read_nonblocking(65536, 0)
    except pexpect.TIMEOUT:
        pass
    return True


def test_two_homes_never_share_a_conversation(make_house: MakeHouse, one_cli: Path) -> None:
    first = make_house(one_cli, name="one")
    first.start_supervisor()
    _, session = first.ask("Remember the word DATE")
    first.until_state(session, "idle")
    first.call("session.hibernate", {"sessionId": session})
    first.kill_supervisor(signal.SIGTERM)
    second = make_house(one_cli, name="other")
    subprocess.run(["cp", str(first.paths.database), str(second.paths.database)], check=True)
    second.config["claude"]["env"] = first.config["claude"]["env"]
    first.start_supervisor()
    second.start_supervisor()
    assert first.ask("echo: mine", session)[0] == "mine"
    refused = second.send("echo: mine too", session)["message"]
    assert (refused["state"], refused["error"]["code"]) == ("failed", "conversation_in_use")
    with pytest.raises(PilotlightError) as error:
        second.call("session.wake", {"sessionId": session})
    assert error.value.error_code == "conversation_in_use"
    first.until_state(session, "idle")
    first.call("session.hibernate", {"sessionId": session})
    assert second.ask("What word did I ask you to remember?", session)[0] == "DATE"
    second.call("session.kill", {"sessionId": session})
