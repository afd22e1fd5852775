"""Hooks that say what was guessed before: another model, another folder, why a turn failed, what Claude has decided itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from supervisor.lifecycle import recycling
from supervisor.session import receipts
from supervisor.state.states import StateEvent
from supervisor.store.options import SETTINGS_CHANGED
from supervisor.store.store import Store
from supervisor.waiting.waiting import Permission, permission_waiting
from tests.unit.observation.claude_lab import Claude


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "pilotlight.db")
    yield Claude(tmp_path, store)
    store.close()


def told(claude: Claude, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in claude.store.events(0, 100, "s", None) if event.kind == kind]


SWITCH = {"from_model": "claude-opus-4-5", "to_model": "claude-sonnet-4-5", "requested_model": "sonnet"}


def test_a_model_that_a_person_chooses_is_shown_and_is_that_of_the_next_process(claude: Claude) -> None:
    claude.hook("PostModelSwitch", source="command", **SWITCH)
    claude.read()
    assert claude.session.view().model == "sonnet"
    claude.hook("PostModelSwitch", source="command", **{**SWITCH, "requested_model": None})
    claude.read()
    assert claude.session.view().model is None, "the default was asked for"
    assert [data["model"] for data in told(claude, "updated")] == ["sonnet", None]


def test_what_claude_falls_back_to_is_no_choice(claude: Claude) -> None:
    for source in ("auto", "resume", "sdk"):
        claude.hook("PostModelSwitch", source=source, **SWITCH)
    claude.read()
    assert claude.session.view().model is None


def test_a_model_that_was_chosen_here_for_the_next_process_is_kept(claude: Claude) -> None:
    record = claude.session.record
    record.launch = msgspec.structs.replace(record.launch, model="opus")
    record.process = msgspec.structs.replace(record.process, stale=SETTINGS_CHANGED)
    claude.hook("PostModelSwitch", source="command", **SWITCH)
    claude.read()
    assert claude.session.view().model == "opus"


def test_a_model_that_a_person_chooses_while_another_option_waits_for_the_next_process_is_its_model(
    claude: Claude,
) -> None:
    """With somebody at the terminal it waits for as long as they are there."""
    assert recycling.change(claude.session, {"effort": "high"})
    claude.hook("PostModelSwitch", source="command", **SWITCH)
    claude.read()
    assert claude.session.view().model == "sonnet"
    assert recycling.change(claude.session, {"model": "opus"})
    claude.hook("PostModelSwitch", source="command", **SWITCH)
    claude.read()
    assert claude.session.view().model == "opus"


def test_the_folder_that_claude_has_gone_to_is_known_at_once(claude: Claude) -> None:
    claude.hook("CwdChanged", cwd="/p/sub", old_cwd="/p", new_cwd="/p/sub")
    claude.read()
    assert claude.session.record.process.cwd == "/p/sub"


def test_a_turn_that_failed_without_a_word_says_why(claude: Claude) -> None:
    message = claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=message.prompt, prompt_id="p")
    claude.hook("StopFailure", prompt_id="p", error="unknown", error_details="The request was too odd.")
    claude.read()
    receipts.settle_current(claude.session, time.monotonic())
    assert (message.state, message.error and message.error["message"]) == ("failed", "The request was too odd.")


DENIED = (
    "Permission for this command was denied by a built-in Claude Code safety check, not by the user. The check stops"
)


def asked_for(claude: Claude, tool: str, given: dict[str, Any]) -> Permission:
    """What Claude asks, and a person sees."""
    asked = Permission.from_hook(claude.session.dir / "spool" / "r.0", {"tool_name": tool, "tool_input": given})
    claude.session.permissions.add(asked)
    claude.session.apply(StateEvent.ASKING, "evidence", permission_waiting(asked))
    return asked


def causes(claude: Claude) -> list[str]:
    """Why what was asked is not asked any more."""
    claude.session.apply(StateEvent.READY, "evidence")
    return [data["cause"] for data in told(claude, "expired")]


def run_denied(claude: Claude, command: str, content: Any) -> None:
    """A turn whose one tool was denied, in the lines of its transcript; no hook tells of it before the end of the turn."""
    use = [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": command}}]
    result = [{"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": content}]
    claude.line("user", "remove it", promptId="p", uuid="u1")
    claude.line("assistant", uuid="u2", parentUuid="u1", message={"id": "a", "content": use, "stop_reason": "tool_use"})
    claude.line("user", result, uuid="u3", parentUuid="u2", promptId="p")
    claude.hook("Stop", prompt_id="p", last_assistant_message="done")
    claude.read()


@pytest.mark.parametrize("content", [DENIED, [{"type": "text", "text": DENIED}]])
def test_a_removal_that_claude_denies_itself_ends_as_decided_by_claude(claude: Claude, content: Any) -> None:
    """As recorded on 2.1.330, whose two minutes cannot be made shorter."""
    asked_for(claude, "Bash", {"command": "rm -rf ~"})
    run_denied(claude, "rm -rf ~", content)
    assert causes(claude) == ["claude"]


@pytest.mark.parametrize("content", ["The user doesn't want to proceed with this tool use.", None, [7]])
def test_a_refusal_of_a_person_at_the_terminal_stays_theirs(claude: Claude, content: Any) -> None:
    asked_for(claude, "Bash", {"command": "rm -rf ~"})
    run_denied(claude, "rm -rf ~", content)
    assert causes(claude) == ["terminal"]


def test_what_was_denied_is_not_another_request(claude: Claude) -> None:
    asked_for(claude, "Bash", {"command": "ls"})
    run_denied(claude, "rm -rf ~", DENIED)
    assert causes(claude) == ["terminal"]


def test_a_question_that_nobody_answers_in_time_ends_as_decided_by_claude(claude: Claude) -> None:
    given = {"questions": [{"question": "Which color?"}]}
    asked_for(claude, "AskUserQuestion", given)
    claude.hook("PostToolUse", tool_name="AskUserQuestion", tool_input={**given, "answers": {}, "afkTimeoutMs": 4000})
    claude.read()
    assert causes(claude) == ["claude"]
