"""What an interrupt ends, and what it leaves alone: a request, a tool, a stream, a draft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict, Unavailable
from tests.conftest import LendHouse, MakeHouse
from tests.faults.pausing import Pauses
from tests.harness import VERSIONS, House, claude_binary, until
from tests.real.permission_lab import ask, assert_clean, give, screen, settle, tool
from tests.set_ups import hooks_silent, starts_an_agent


def interrupted(house: House, session: str, message: str) -> dict[str, Any]:
    house.call("session.interrupt", {"sessionId": session})
    settled = settle(house, message)
    assert settled["state"] == "interrupted", settled
    return settled


def until_proven(house: House, message: str) -> None:
    until(lambda: house.message(message)["state"] == "submitted", "the prompt is proven")


def held(house: House, session: str, text: str, gate: str) -> str:
    """A message whose prompt has reached the model, which waits at this gate."""
    message = str(house.send(text, session, wait=0)["message"]["id"])
    assert house.model.wait_for_gate(gate, 30)
    return message


@pytest.mark.turns
def test_interrupt_ends_a_request_a_tool_and_a_stream(house: House, warm: str) -> None:
    session, message, _ = ask(house, tool("Bash", command="touch one"), warm)
    interrupted(house, session, message)
    assert_clean(house, session)
    assert not (house.project / "one").exists()

    _, message, waiting = ask(house, tool("Bash", command="touch two; sleep 60"), session)
    give(house, session, waiting, choice="allow")
    until(lambda: (house.project / "two").exists(), "the tool runs")
    interrupted(house, session, message)
    assert_clean(house, session)

    message = held(house, session, "[[midgate half]] echo: " + "word " * 300, "half")
    interrupted(house, session, message)
    assert_clean(house, session)
    with pytest.raises(Conflict) as nothing:
        house.call("session.interrupt", {"sessionId": session})
    assert nothing.value.error_code == "nothing_runs"


@pytest.mark.turns
def test_interrupt_before_the_first_byte_leaves_no_draft(house: House, warm: str) -> None:
    session, wanted = warm, list[str]()
    for lines in (1, 60):
        prompt = f"[[gate never{lines}]] take this back\n" + "\n".join(f"{n}\tline 標題" for n in range(lines))
        message = held(house, session, prompt, f"never{lines}")
        interrupted(house, session, message)
        assert_clean(house, session)
        wanted += [prompt, "echo: and on"]
        assert [turn.prompt for turn in house.model.turns()] == wanted


@pytest.mark.turns
def test_prompt_withdrawn_by_a_supervisor_that_died_is_taken_out_of_the_box(house: House, warm: str) -> None:
    pauses, session = Pauses(house), warm
    message = held(house, session, "[[gate never]] take this back", "never")
    pauses.hold("escaped")
    asked = house.bus.submit("session.interrupt", {"sessionId": session}, timeout=60)
    pauses.reached("escaped")
    until(lambda: "take this back" in screen(house, session).rpartition("❯")[2], "the prompt is back in the box")
    house.kill_supervisor()
    pauses.release("escaped")
    house.start_supervisor()
    assert settle(house, message)["state"] == "interrupted"
    # The client has asked the next supervisor, which does not do it once more.
    with pytest.raises(Unavailable) as again:
        asked.result(60)
    assert again.value.error_code == "supervisor_restarted"
    assert_clean(house, session)


@pytest.mark.turns
def test_interrupt_leaves_a_draft_of_a_person_alone(house: House, warm: str) -> None:
    session = warm
    message = held(house, session, "[[gate never]] echo: x", "never")
    house.call("session.keys", {"sessionId": session, "text": "my own words"})
    until(lambda: "my own words" in house.call("session.screen", {"sessionId": session})["text"], "the draft")
    house.call("session.interrupt", {"sessionId": session})
    assert settle(house, message)["state"] == "interrupted"
    assert "my own words" in house.call("session.screen", {"sessionId": session})["text"]


@pytest.mark.turns
def test_interrupt_ends_a_turn_though_hooks_are_switched_off(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    hooks_silent(house)
    house.start_supervisor()
    _, session = house.ask("echo: warm")
    for prompt, gate in (("[[gate never]] echo: x", "never"), ("[[midgate half]] echo: " + "word " * 300, "half")):
        message = held(house, session, prompt, gate)
        until_proven(house, message)
        interrupted(house, session, message)
        assert_clean(house, session)


def test_a_prompt_is_taken_back_and_agents_in_the_background_go_on(lend_house: LendHouse) -> None:
    house = lend_house(claude_binary(VERSIONS[0]))  # where Ctrl+C ends them and leaves the box
    session = house.warm()
    starts_an_agent(house, session)
    for lines in (1, 60):
        prompt = f"[[gate never{lines}]] take this back\n" + "\n".join(f"{n}\tline" for n in range(lines))
        message = held(house, session, prompt, f"never{lines}")
        interrupted(house, session, message)
        assert_clean(house, session)
        assert house.model.gates()["beside"] == 1
    house.model.release("beside")
