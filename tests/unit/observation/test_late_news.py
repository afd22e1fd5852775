"""What Claude tells late, of an earlier prompt, turn, request or command, is not taken for news of the present one."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.bus.messages import Waiting
from shared.errors import Conflict
from supervisor.claude.screen import ScreenReading
from supervisor.claude.status_file import Status
from supervisor.delivery import interrupt
from supervisor.session import receipts
from supervisor.session.session import TRUST_TRIES, Session
from supervisor.state.states import StateEvent
from supervisor.store.options import ProcessFacts
from supervisor.store.store import Store, now_ms
from supervisor.turn.turn import HOOK_GRACE_SECONDS
from tests.unit.observation.claude_lab import WORDS, Claude


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "pilotlight.db")
    yield Claude(tmp_path, store)
    store.close()


def test_a_queued_prompt_whose_hook_was_heard_before_that_of_the_turn_gets_its_own_id(claude: Claude) -> None:
    message = claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="theirs")
    claude.hook("UserPromptSubmit", prompt="a person's", prompt_id="theirs")
    claude.read()
    assert (message.state, message.prompt_id) == ("submitted", "theirs")
    claude.line("user", "a person's", promptId="theirs")
    claude.read()
    claude.line("user", WORDS, promptId="ours")
    claude.read()
    assert message.prompt_id == "ours"
    assert claude.session.record.turn_prompt == "ours", "no other hook tells that its turn runs"


@pytest.mark.parametrize("told", [["theirs", WORDS], [WORDS, "theirs"], ["theirs"]], ids=["330", "330-late", "197"])
def test_a_queued_prompt_that_claude_is_given_in_the_midst_of_a_turn_is_answered_by_it(
    claude: Claude, told: list[str]
) -> None:
    message = claude.begin("m")
    for prompt in told:
        claude.hook("UserPromptSubmit", prompt=prompt, prompt_id="theirs")
    claude.line("user", "theirs", promptId="theirs", uuid="u1")
    claude.line("attachment", attachment={"type": "queued_command", "prompt": WORDS}, parentUuid="u1", uuid="u2")
    text = [{"type": "text", "text": "to both"}]
    said = {"id": "a", "content": text, "stop_reason": "end_turn"}
    claude.line("assistant", parentUuid="u2", message=said, uuid="u3")
    claude.line("system", subtype="turn_duration", parentUuid="u3")
    claude.hook("Stop", prompt_id="theirs", last_assistant_message="to both")
    claude.read()
    receipts.settle_current(claude.session, time.monotonic())
    assert (message.state, message.reply) == ("answered", "to both")


FRAMED = (
    f"Another Claude session sent a message:\n{WORDS}\n\nThis came from another Claude session — not typed by your user"
)
PEER = {"isMeta": True, "origin": {"kind": "peer", "from": "uds:/x.sock"}}


@pytest.mark.parametrize("late", [False, True], ids=["hook-first", "hook-late"])
def test_a_turn_that_a_peer_has_begun_with_the_words_of_ours_is_not_ours(claude: Claude, late: bool) -> None:
    message = claude.begin("m")
    tell: list[Callable[[], None]] = [
        lambda: claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="theirs"),
        lambda: claude.line("user", FRAMED, promptId="theirs", uuid="u1", **PEER),
    ]
    for say in reversed(tell) if late else tell:
        say()
        claude.read()
    assert message.prompt_id is None
    said = {"id": "a", "content": [{"type": "text", "text": "to them"}], "stop_reason": "end_turn"}
    claude.line("assistant", parentUuid="u1", message=said, uuid="u2")
    claude.line("system", subtype="turn_duration", parentUuid="u2", uuid="u3")
    claude.hook("Stop", prompt_id="theirs", last_assistant_message="to them")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="theirs")  # ours, which Claude has queued
    claude.read()
    receipts.settle_current(claude.session, time.monotonic())
    assert (message.state, message.reply) == ("submitted", None)
    claude.line("user", WORDS, promptId="ours", uuid="u4", parentUuid="u3")
    claude.read()
    assert message.prompt_id == "ours"


def test_what_a_peer_says_in_the_midst_of_our_turn_is_no_message_of_ours(claude: Claude) -> None:
    message = claude.begin("m", prompt="another's")
    claude.hook("UserPromptSubmit", prompt="a person's", prompt_id="theirs")
    claude.line("user", "a person's", promptId="theirs", uuid="u1")
    given = {"type": "queued_command", "prompt": "another's", **PEER}
    claude.line("attachment", attachment=given, parentUuid="u1", uuid="u2")
    claude.read()
    assert (message.state, message.prompt_id) == ("typed", None)


def test_a_turn_that_a_peer_has_cut_short_is_interrupted_and_keeps_nothing_of_the_next(claude: Claude) -> None:
    message = claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="ours")
    claude.line("user", WORDS, promptId="ours", uuid="u1")
    claude.line("user", FRAMED, promptId="theirs", uuid="u2", parentUuid="u1", **PEER)
    said = {"id": "a", "content": [{"type": "text", "text": "to them"}], "stop_reason": "end_turn"}
    claude.line("assistant", parentUuid="u2", message=said)
    claude.session.status = Status("busy", None, None, now_ms())
    claude.read()
    receipts.settle_current(claude.session, time.monotonic())
    assert message.state == "submitted", "its Stop hook may be late"
    receipts.settle_current(claude.session, time.monotonic() + HOOK_GRACE_SECONDS)
    assert (message.state, message.reply) == ("interrupted", None)


def test_an_interrupted_turn_that_is_told_only_when_it_is_over_is_interrupted(claude: Claude) -> None:
    message = claude.begin("m")
    claude.session.status = Status("idle", None, None, now_ms() - 100)
    claude.line("user", WORDS, promptId="p")
    claude.line("user", "[Request interrupted by user]", promptId="p")
    claude.read()
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p")
    claude.read()
    assert message.state == "submitted"
    assert claude.session.record.turn_prompt is None
    for after in (0.0, 0.1):
        receipts.settle_current(claude.session, time.monotonic() + after)
    assert message.state == "interrupted"


def test_a_turn_in_which_a_stop_hook_has_claude_go_on_is_over_when_claude_is_done(claude: Claude) -> None:
    session, message = claude.session, claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p")
    claude.line("user", WORDS, promptId="p", uuid="u1")

    def say(text: str, behind: str, name: str) -> None:
        said = {"id": name, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        claude.line("assistant", parentUuid=behind, uuid=name, message=said)

    def settle() -> tuple[str, str | None, str | None]:
        claude.read()
        receipts.settle_current(session, time.monotonic())
        return message.state, message.reply, session.record.turn_prompt

    session.status = Status("busy", None, None, now_ms())
    say("first", "u1", "u2")
    claude.hook("Stop", prompt_id="p", last_assistant_message="first")
    assert settle() == ("submitted", None, "p"), "a person's hook may still run"
    claude.line("user", "Stop hook feedback:\nsay more", isMeta=True, promptId="p", parentUuid="u2", uuid="u3")
    session.status = Status("idle", None, None, now_ms())  # and the rest is not in the transcript yet
    settle()
    receipts.settle_current(session, time.monotonic() + 1)
    assert message.state == "submitted"
    say("second", "u3", "u4")
    claude.hook("Stop", prompt_id="p", last_assistant_message="second", stop_hook_active=True)
    claude.line("system", subtype="turn_duration", parentUuid="u4")
    assert settle() == ("answered", "second", None)


def refuse(claude: Claude, prompt: str) -> None:
    content = f"UserPromptSubmit operation blocked by hook:\nNo secrets\n\nOriginal prompt: {prompt}"
    claude.line("system", subtype="informational", said=content, preventContinuation=True)


@pytest.mark.parametrize("heard", ["before", "behind", "never"])
def test_a_prompt_that_a_hook_has_refused_has_failed(claude: Claude, heard: str) -> None:
    session, message = claude.session, claude.begin("m")
    if heard == "before":
        claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p")
    refuse(claude, WORDS)
    claude.read()
    if heard == "behind":
        claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p")
        claude.read()
    assert (message.state, (message.error or {}).get("code")) == ("failed", "prompt_blocked")
    assert "No secrets" in (message.error or {})["message"]
    assert WORDS not in (message.error or {})["message"]
    assert receipts.is_withdrawn(session, message), "its text is to be looked for in the box"
    assert (session.current, session.record.turn_prompt) == (None, "p" if heard == "behind" else None)


def test_what_was_refused_to_a_person_is_not_refused_to_our_message(claude: Claude) -> None:
    session = claude.session
    claude.hook("UserPromptSubmit", prompt="theirs", prompt_id="t")
    claude.read()
    refuse(claude, "theirs")
    message = claude.begin("m")
    claude.read()
    assert (message.state, session.record.turn_prompt) == ("typed", None)


@pytest.mark.parametrize("heard", [["UserPromptSubmit", "Stop"], ["Stop", "UserPromptSubmit"], ["Stop"]])
def test_a_turn_at_the_terminal_runs_until_its_last_line(claude: Claude, heard: list[str]) -> None:
    session = claude.session
    for name in heard:
        claude.hook(name, prompt="theirs", prompt_id="p", last_assistant_message="done")
    claude.read()
    assert session.record.turn_prompt == "p"
    claude.line("user", "theirs", promptId="p", uuid="u1")
    claude.line("system", subtype="turn_duration", parentUuid="u1")
    claude.read()
    assert session.record.turn_prompt is None
    claude.hook("Stop", prompt_id="p", last_assistant_message="done")
    claude.read()
    assert session.record.turn_prompt is None, "heard late"


def asked(claude: Claude, **given: Any) -> None:
    claude.hook("PermissionRequest", tool_name="Bash", tool_input=given)
    claude.read()


def test_the_late_stop_of_an_earlier_turn_says_nothing_of_the_present_one(claude: Claude) -> None:
    session = claude.session
    claude.hook("UserPromptSubmit", prompt="first", prompt_id="p1")
    claude.line("user", "first", promptId="p1")
    claude.line("system", subtype="turn_duration")
    claude.read()
    assert session.record.turn_prompt is None
    claude.hook("UserPromptSubmit", prompt="second", prompt_id="p2")
    asked(claude, command="ls")
    claude.hook("Stop", prompt_id="p1", last_assistant_message="done", background_tasks=[{"id": "b"}])
    claude.read()
    assert len(session.permissions.pending) == 1, "its request is still asked"
    assert session.record.turn_prompt == "p2"
    claude.hook("Stop", prompt_id="p2", last_assistant_message="done", background_tasks=[])
    claude.hook("Stop", prompt_id="p1", last_assistant_message="done", background_tasks=[{"id": "b"}])
    claude.read()
    assert (session.permissions.pending, session.record.background) == ([], [])


async def test_the_end_of_a_tool_does_not_answer_the_next_request_for_the_same(claude: Claude) -> None:
    session = claude.session
    asked(claude, command="ls")
    (first,) = session.permissions.pending
    os.mkfifo(first.pipe, 0o600)
    hook = os.open(first.pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert await first.decide({"behavior": "allow"})
    os.close(hook)
    session.permissions.drop(first)
    asked(claude, command="ls")
    claude.hook("PostToolUse", tool_name="Bash", tool_input={"command": "ls"}, tool_use_id="t1")
    claude.read()
    assert len(session.permissions.pending) == 1
    claude.hook("PostToolUse", tool_name="Bash", tool_input={"command": "ls"}, tool_use_id="t2")
    claude.read()
    assert session.permissions.pending == []


def test_what_an_earlier_command_says_late_is_not_said_by_the_next(claude: Claude) -> None:
    message = claude.begin("m", "/cost", state="queued", kind="command")
    claude.line("user", "<local-command-stdout>of the first</local-command-stdout>", at=now_ms() - 200)
    claude.read()
    receipts.step(claude.session, message, "typed")
    claude.read()
    run = receipts.command_run(claude.session, message)
    assert (run.lines, run.outputs) == (0, [])
    claude.line("user", "<local-command-stdout>of the first</local-command-stdout>", at=now_ms() - 200)
    claude.line("user", "<local-command-stdout>of the second</local-command-stdout>", at=now_ms() + 10)
    claude.read()
    assert receipts.command_run(claude.session, message).outputs == ["of the second"]


def test_each_dialog_that_nobody_has_answered_here_expires(claude: Claude) -> None:
    session = claude.session

    def gone() -> list[str]:
        return [event.data["id"] for event in claude.store.events(0, 1000, None, ["expired"])]

    def ask(name: str) -> None:
        session.apply(StateEvent.ASKING, "evidence", Waiting(name, "dialog", "", "", [], 0))

    ask("a")
    session.begin_answer("a")
    session.begin_answer("b")  # a rule answers another one meanwhile
    ask("b")
    session.apply(StateEvent.READY, "evidence")
    assert gone() == []
    ask("a")  # the same dialog again, and a person at the terminal answers it
    session.apply(StateEvent.READY, "evidence")
    assert gone() == ["a"]


def test_a_trust_dialog_that_is_answered_by_itself_is_announced_only_when_that_fails(claude: Claude) -> None:
    session = claude.session
    session.record.trust, session.record.ready_once = True, False

    def announced() -> list[str]:
        return [event.data["id"] for event in claude.store.events(0, 1000, None, ["waiting"])]

    trust = Waiting("t", "trust", "", "", [], 0)
    session.apply(StateEvent.ASKING, "evidence", trust)
    assert (announced(), session.answering_itself) == ([], True)
    session.trust_failures = TRUST_TRIES
    for _ in range(2):
        session.apply(StateEvent.ASKING, "evidence", trust)
    assert announced() == ["t"]


@pytest.mark.parametrize("follows", [None, "the next"])
async def test_an_interrupt_ends_no_turn_that_follows_at_once(claude: Claude, follows: str | None) -> None:
    session, pressed = claude.session, []

    async def press(_: str, data: bytes) -> None:
        pressed.append(data)
        session.record.turn_prompt = follows
        session.changed.notify()

    session.terminal = SimpleNamespace(press=press, screen_reading=lambda: ScreenReading("prompt"))  # type: ignore[assignment]
    session.record.turn_prompt = "this"
    assert await interrupt.interrupt(session) == "escape"
    assert pressed == [b"\x1b"]


async def test_an_interrupt_that_had_to_wait_does_not_end_a_later_turn(claude: Claude) -> None:
    session = claude.session
    session.record.turn_prompt = "this"
    async with session.answering:
        late = asyncio.create_task(interrupt.interrupt(session))
        await asyncio.sleep(0)
        session.record.turn_prompt = "the next"
    with pytest.raises(Conflict):
        await late


async def test_a_message_is_not_withdrawn_for_what_a_person_has_typed(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, message = claude.session, claude.begin("m")
    receipts.step(session, message, "submitted", prompt_id="p")
    session.record.process = ProcessFacts(withdrawing="m")  # by a supervisor that died before it pressed Esc
    session.terminal = SimpleNamespace(screen_reading=lambda: ScreenReading("draft", draft="a person's"))  # type: ignore[assignment]

    async def contents(_: Session) -> str:
        return "a person's"

    monkeypatch.setattr("supervisor.delivery.prompt_box.contents", contents)
    await interrupt.finish(session)
    assert message.state == "submitted"


def test_a_late_hook_does_not_say_that_what_a_person_has_just_entered_was_told(claude: Claude) -> None:
    session = claude.session
    claude.hook("Stop", prompt_id="p1")
    claude.read()
    session.entered_at = time.monotonic()
    claude.hook("UserPromptSubmit", prompt="first", prompt_id="p1")
    claude.read()
    assert session.entered_at is not None
    claude.hook("UserPromptSubmit", prompt="second", prompt_id="p2")
    claude.read()
    assert session.entered_at is None
