"""When is the whole reply known before the transcript has it? When nothing that could still change it is open."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.config import ClaudeConfig, Config
from supervisor.claude.command_line import hook_command
from supervisor.claude.hook_log import HookEvent
from supervisor.claude.status_file import Status
from supervisor.claude.transcript import TranscriptLine
from supervisor.session import receipts
from supervisor.store.store import MessageRecord, Store
from supervisor.turn.early_reply import Displayed, whole_reply
from supervisor.turn.turn import StopReport, Turn
from tests.unit.observation.claude_lab import WORDS, Claude

TEXT = "# Title\n\nand the end\n"
STOP = StopReport("and the end", None, 0.0)
PEER = TranscriptLine("prompt", peer=True)


def piece(index: int, delta: str, final: bool = False, part: str = "a") -> tuple[str, dict[str, Any]]:
    return "MessageDisplay", {"message_id": part, "index": index, "delta": delta, "final": final}


FIRST, LAST = piece(0, "# Title\n"), piece(1, "\nand the end\n", True)
BEFORE = piece(0, "let me see", True, "0")
TOOL = ("PreToolUse", {"tool_use_id": "t"})
TOOL_ENDED = ("PostToolUse", {"tool_use_id": "t"})
NESTED = ("PreToolUse", {"tool_use_id": "n", "agent_id": "sub"})
OURS = ("UserPromptSubmit", {"prompt": WORDS})
THEIRS = ("UserPromptSubmit", {"prompt": "theirs"})


def turn(**more: Any) -> Turn:
    return replace(Turn("p", WORDS), **more)


@pytest.mark.parametrize(
    ("known", "stop", "told", "reply"),
    [
        (turn(), STOP, [FIRST, LAST], TEXT),
        (turn(), STOP, [LAST, FIRST], TEXT),
        (turn(), STOP, [BEFORE, TOOL_ENDED, TOOL, FIRST, LAST, NESTED], TEXT),
        (turn(prompt="theirs", absorbed=[WORDS]), STOP, [FIRST, LAST], TEXT),
        (turn(), STOP, [LAST], None),
        (turn(), STOP, [FIRST], None),
        (turn(), STOP, [], None),
        (turn(), STOP, [piece(0, "let me", False, "0"), FIRST, LAST], None),
        (turn(), STOP, [BEFORE], None),
        (turn(), STOP, [TOOL, FIRST, LAST], None),
        (turn(), STOP, [FIRST, LAST, ("Stop", {"stop_hook_active": True})], None),
        (turn(), None, [FIRST, LAST], None),
        (turn(), StopReport("", None, 0.0), [FIRST, LAST], None),
        (turn(), StopReport("and the end", "rate_limit", 0.0), [FIRST, LAST], None),
        (None, STOP, [FIRST, LAST], None),
        (None, STOP, [FIRST, LAST, OURS], TEXT),
        (None, STOP, [THEIRS, FIRST, LAST], None),
        (None, STOP, [OURS, FIRST, LAST, THEIRS], None),
        (None, STOP, [OURS, OURS, FIRST, LAST], None),
        (None, STOP, [OURS, FIRST], None),
        (turn(prompt="theirs"), STOP, [OURS, FIRST, LAST], None),
        (turn(prompt="theirs"), STOP, [FIRST, LAST], None),
        (turn(peer=True), STOP, [FIRST, LAST], None),
        (turn(interrupted=True), STOP, [FIRST, LAST], None),
        (turn(continued=True), STOP, [FIRST, LAST], None),
        (turn(rounds=1), STOP, [FIRST, LAST], None),
        (turn(cut_short=True), STOP, [FIRST, LAST], None),
    ],
)
def test_the_whole_reply(known: Turn | None, stop: StopReport | None, told: list[Any], reply: str | None) -> None:
    shown = Displayed()
    events = [HookEvent(name, payload, Path(f"{number}.0")) for number, (name, payload) in enumerate(told)]
    for event in (*events, *events):  # what the database has refused is told again
        shown.take(event)
    assert whole_reply(WORDS, known, stop, shown, only_we_prompt=True) == reply
    assert whole_reply(WORDS, known, stop, shown, only_we_prompt=False) == (reply if known is not None else None)


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "pilotlight.db")
    yield Claude(tmp_path, store)
    store.close()


def list_hooks(claude: Claude, *others: str) -> None:
    """The end of an earlier turn: the Stop hooks that Claude has run."""
    infos = [{"command": command} for command in (hook_command(claude.session.dir, "Stop"), *others)]
    claude.line("system", subtype="stop_hook_summary", hookCount=len(infos), hookInfos=infos)
    claude.read()


def reply(claude: Claude, text: str = "the end", **stop: Any) -> None:
    """Up to its Stop hook, of which the transcript knows nothing yet."""
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p")
    claude.hook("MessageDisplay", prompt_id="p", message_id="a", index=0, delta=text, final=True)
    claude.hook("Stop", prompt_id="p", last_assistant_message=text, **stop)
    settle(claude)


def show_prompt(claude: Claude) -> None:
    """The transcript has the prompt."""
    claude.line("user", WORDS, promptId="p", uuid="u1")
    settle(claude)


def settle(claude: Claude) -> None:
    claude.read()
    receipts.settle_current(claude.session, time.monotonic())


def told(claude: Claude) -> list[tuple[str, Any]]:
    events = claude.store.events(0, 100, "s", ["message", "reply_changed"])
    return [(event.kind, event.data["state"]) for event in events][1:]


def test_the_text_is_told_before_the_transcript_has_it_and_stays(claude: Claude) -> None:
    list_hooks(claude)
    message = claude.begin("m")
    reply(claude)
    assert (message.state, message.reply, "replied" in message.steps) == ("submitted", "the end", True)
    assert claude.session.current is message, "the next one waits for the transcript"
    stored = claude.store.message("m")
    assert stored is not None
    assert stored.reply == "the end"
    show_prompt(claude)
    said = {"id": "a", "content": [{"type": "text", "text": "the end"}], "stop_reason": "end_turn"}
    claude.line("assistant", parentUuid="u1", message=said, uuid="u2")
    claude.line("system", subtype="turn_duration", parentUuid="u2")
    settle(claude)
    assert (message.state, message.reply) == ("answered", "the end")
    assert list(message.steps)[-2:] == ["replied", "answered"]
    assert told(claude) == [("message", "replied"), ("message", "answered")]


@pytest.mark.parametrize("why", ["never-listed", "another", "uncounted", "earlier-process", "changed", "local"])
def test_a_hook_of_somebodys_may_have_claude_go_on(claude: Claude, why: str) -> None:
    session, project = claude.session, Path(claude.session.record.project_path)
    if why == "another":
        list_hooks(claude, "sh theirs.sh")
    elif why == "uncounted":
        claude.line("system", subtype="stop_hook_summary", hookCount=2, hookInfos=[])
    elif why != "never-listed":
        list_hooks(claude)
    if why == "earlier-process":
        session.record.generation += 1
    if why in ("changed", "local"):
        file = project / ("settings.json" if why == "changed" else ".claude/settings.local.json")
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")
        os.utime(file, (time.time() + 1,) * 2)  # behind the list, however soon it follows
    message: MessageRecord = claude.begin("m")
    message.generation = session.record.generation
    reply(claude)
    assert (message.state, message.reply, "replied" in message.steps) == ("submitted", None, False)


@pytest.mark.parametrize("then", ["goes-on", "other-words", "interrupted"])
def test_where_the_transcript_says_otherwise_it_is_right_and_that_is_told(claude: Claude, then: str) -> None:
    list_hooks(claude)
    message = claude.begin("m")
    reply(claude)
    assert message.reply == "the end"
    show_prompt(claude)

    def say(text: str, behind: str, name: str) -> None:
        said = {"id": name, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        claude.line("assistant", parentUuid=behind, uuid=name, message=said)

    if then == "goes-on":
        say("the end", "u1", "u2")
        claude.line("user", "Stop hook feedback:\nmore", isMeta=True, promptId="p", parentUuid="u2", uuid="u3")
        settle(claude)
        assert (message.state, message.reply, "replied" in message.steps) == ("submitted", None, False)
        assert told(claude)[-1] == ("reply_changed", "submitted")
        say("more", "u3", "u4")
        claude.hook("Stop", prompt_id="p", last_assistant_message="more", stop_hook_active=True)
        settle(claude)
        assert message.reply is None
        claude.line("system", subtype="turn_duration", parentUuid="u4")
        settle(claude)
        assert (message.state, message.reply) == ("answered", "more")
        return
    if then == "other-words":
        say("another and the end", "u1", "u2")
        claude.line("system", subtype="turn_duration", parentUuid="u2")
    else:
        claude.line("user", "[Request interrupted by user]", promptId="p", parentUuid="u1")
    settle(claude)
    settle(claude)
    state, text = ("answered", "another and the end") if then == "other-words" else ("interrupted", None)
    assert (message.state, message.reply, "replied" in message.steps) == (state, text, False)
    assert ("reply_changed", state) in told(claude)


@pytest.mark.parametrize("who", ["person", "background", "ended-task", "planned", "peers", "earlier-turn", "queued"])
def test_where_another_may_have_begun_the_turn_only_the_transcript_tells_whose_it_is(claude: Claude, who: str) -> None:
    session = claude.session
    list_hooks(claude)
    message = claude.begin("m")
    stop: dict[str, Any] = {}
    if who == "person":
        session.person_presses(b"x")
    elif who == "background":
        stop = {"background_tasks": [{"id": "b"}]}
    elif who == "ended-task":  # which Claude may have told of by a turn of its own
        session.record.background, stop = [{"id": "b"}], {"background_tasks": []}
    elif who == "planned":
        session.record.scheduled = [{"id": "c", "schedule": "* * * * *", "recurring": True, "prompt": "go"}]
    elif who == "peers":
        accepting = Config(claude=ClaudeConfig(cross_session="accept"))
        session.services = replace(session.services, config=lambda: accepting)
    elif who == "earlier-turn":
        session.status = Status("busy", None, "c", message.steps["typed"] - 1)
    else:
        claude.hook("UserPromptSubmit", prompt="a person's words", prompt_id="p")
    reply(claude, **stop)
    assert "replied" not in message.steps
    show_prompt(claude)
    assert (message.state, message.reply, "replied" in message.steps) == ("submitted", "the end", True)


def test_the_turn_that_runs_already_is_ours(claude: Claude) -> None:
    list_hooks(claude)
    message = claude.begin("m")
    claude.session.status = Status("busy", None, "c", message.steps["typed"] + 1)
    reply(claude)
    assert (message.reply, "replied" in message.steps) == ("the end", True)
