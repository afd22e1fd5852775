"""The demo model's promises, as a pure function of the messages that the real CLI was seen to send."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api.web.assets import STATIC
from demo import texts, wire
from demo.directives import parse
from demo.messages import Kind, conversation_id, read
from demo.plan import Drop, Fail, Gate, Plan, Text, Think, ToolUse, Wait
from demo.script import RECAP, reply

REMINDER = {"type": "text", "text": "<system-reminder>\nToday is a day.\n</system-reminder>\n\n"}
SYSTEM = {"role": "system", "content": "Available agent types for the Agent tool:"}
COMPACT = (
    "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\nYour task is to create a detailed summary of it all"
)


def user(*prompts: str) -> dict[str, Any]:
    return {"role": "user", "content": [REMINDER, *({"type": "text", "text": prompt} for prompt in prompts)]}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def call(name: str = "Bash") -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}]}


def result(text: str, *more: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": text}, *more]}


def said(plan: Plan) -> str:
    return "".join(step.text for step in plan.steps if isinstance(step, Text))


def test_a_word_is_remembered_across_turns() -> None:
    history = [user("Remember the word maple"), SYSTEM, assistant("I will remember the word maple.")]
    assert said(reply(history[:2])) == "I will remember the word maple."
    assert said(reply([*history, user("What word did I ask you to remember?")])) == "maple"
    assert said(reply([user("What word did I ask you to remember?")])) == "You have not asked me to remember a word."


def test_what_the_dashboard_offers_to_try_is_a_greeting_a_permission_and_a_question() -> None:
    offered = (STATIC / "app" / "first.js").read_text().split("const TRIES = [")[1].split("\n];")[0]
    messages = [double or single for double, single in re.findall(r"""(?:"([^"]*)"|'([^']*)')\],$""", offered, re.M)]
    hello, permission, question = (reply([user(message)]) for message in messages)
    assert said(hello) == texts.HELP
    assert [step.name for step in permission.steps if isinstance(step, ToolUse)] == ["Bash"]
    assert [step.name for step in question.steps if isinstance(step, ToolUse)] == ["AskUserQuestion"]


def test_a_compaction_waits_at_a_gate_that_its_instructions_name() -> None:
    plan = reply([user("hi", f"{COMPACT}\n\nAdditional Instructions:\n[[gate g]] keep it short")])
    assert plan.steps[0] == Gate("g")


def test_a_word_survives_compacting_twice() -> None:
    summary = said(reply([user("Remember the word maple", COMPACT)]))
    for _ in range(2):
        continued = (
            "This session is being continued from a previous conversation that ran out of context.\n\n"
            f"{summary.removeprefix('<summary>').removesuffix('</summary>')}\n\nIf you need specific details, read on."
        )
        assert said(reply([user(continued, "What word did I ask you to remember?")])) == "maple"
        summary = said(reply([user(continued, "and then"), assistant("ok"), {"role": "user", "content": COMPACT}]))


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "  two leading",
        "# Titel\n\n\t- `код` 日本語 👩\u200d💻\r\n",
        "[[slow 5]] stays text",
        "ends in backslash\\",
        "<b>&amp;</b>",
    ],
)
def test_echo_is_exact(text: str) -> None:
    assert said(reply([user(f"echo: {text}"), SYSTEM])) == text
    assert said(reply([user(f"echo:{text}")])) == text.removeprefix(" ")


def test_echo_of_a_wrapped_paste_is_exact() -> None:
    body = "echo: line one\n\nline two\n  end 🎉"
    wrapped = f'\n\n<pasted_content id="a334">\n{body}\n</pasted_content id="a334">\n'
    assert said(reply([user(wrapped)])) == body.removeprefix("echo: ")
    assert read([user(wrapped)], True).prompt == wrapped


def test_directives_in_front_of_echo_act() -> None:
    assert reply([user("[[slow 5]] [[stream 3]] echo: hi [[empty]]")]).steps == (Wait(5), Text("hi [[empty]]", 3))


def test_the_last_block_a_person_typed_is_the_prompt() -> None:
    command = "<command-name>/compact</command-name>"
    interrupted = "[Request interrupted by user for tool use]"
    assert said(reply([user("echo: old", interrupted, command, "echo: new")])) == "new"


@pytest.mark.parametrize(
    ("prompt", "steps"),
    [
        ("[[slow 1.5]] [[say x]]", (Wait(1.5), Text("x"))),
        ("[[gate g-1]] [[say x]]", (Gate("g-1"), Text("x"))),
        ("[[midgate g]] [[say abcd]]", (Text("ab"), Gate("g"), Text("cd"))),
        ("[[drop]] [[say abcd]]", (Text("ab"), Drop())),
        ("[[think deep]] [[slow 1]] [[say x]]", (Wait(1), Think("deep"), Text("x"))),
        ("[[status 413]]", (Fail(413), Text("Done."))),
        ("[[empty]]", ()),
        ("question 17", (Text("You said: question 17"),)),
        ("if [[ -f x ]]; then", (Text("You said: if [[ -f x ]]; then"),)),
        ("[[slow soon]]", (Text("You said: [[slow soon]]"),)),
        ("[[tool Bash {broken]]", (Text("You said: [[tool Bash {broken]]"),)),
    ],
)
def test_directives_become_steps(prompt: str, steps: tuple[object, ...]) -> None:
    assert reply([user(prompt)]).steps == steps


def test_limited_failures_stop_after_that_many_tries() -> None:
    plans = [reply([user("[[status 529 x2]] [[say up]]")], attempt=attempt) for attempt in (1, 2, 3)]
    assert [plan.steps[0] for plan in plans] == [Fail(529), Fail(529), Text("up")]


def test_tools_are_called_one_after_the_other() -> None:
    first, second = '[[tool Bash {"command": "a [[ x ]]"}]]', '[[gate g]] [[tool Read {"file_path": "/b"}]]'
    messages = [user(f"{first} {second}")]
    assert reply(messages).steps == (ToolUse("Bash", {"command": "a [[ x ]]"}),)
    messages += [call(), result("one")]
    assert reply(messages).steps == (Gate("g"), ToolUse("Read", {"file_path": "/b"}))
    messages += [call("Read"), result("two")]
    assert reply(messages).steps == (Text("done: two"),)


def test_parallel_tools_come_in_one_message() -> None:
    plan = reply([user('[[tools 3 Bash {"command": "echo {i}"}]]')])
    assert [step.input["command"] for step in plan.steps if isinstance(step, ToolUse)] == ["echo 1", "echo 2", "echo 3"]
    assert plan.stop_reason == "tool_use"


def test_a_new_prompt_starts_its_own_script() -> None:
    messages = [user('[[tool Bash {"command": "a"}]]'), call(), result("no"), assistant("done: no"), user("[[say x]]")]
    assert said(reply(messages)) == "x"


def test_a_question_has_the_shape_the_cli_wants() -> None:
    (step,) = reply([user('[[ask multi "Which color?" Red "Dark blue"]]')]).steps
    assert isinstance(step, ToolUse)
    (question,) = step.input["questions"]
    assert (question["question"], question["multiSelect"]) == ("Which color?", True)
    assert [option["label"] for option in question["options"]] == ["Red", "Dark blue"]
    assert all(option["description"] for option in question["options"])
    assert len(question["header"]) <= 12


def test_a_plan_enters_plan_mode_writes_the_file_and_leaves() -> None:
    note = "Plan mode is active. Create your plan at /h/.claude/plans/a-b.md using the Write tool."
    entered = {"role": "system", "content": note}
    messages = [user("[[plan Paint]] [[say ok]]")]
    for name in ("EnterPlanMode", "Write", "ExitPlanMode"):
        (step,) = reply(messages).steps
        assert isinstance(step, ToolUse)
        assert step.name == name
        messages += [call(name), result("fine"), entered]
    assert said(reply(messages)) == "ok"
    assert reply([user("[[plan Paint]]"), entered]).steps == (
        ToolUse("Write", {"file_path": "/h/.claude/plans/a-b.md", "content": "Paint\n"}),
    )


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "<task-notification>\n<status>completed</status>\n</task-notification>"},
        {
            "role": "user",
            "content": "<system-reminder>\n[SYSTEM]\n<task-notification>x</task-notification></system-reminder>",
        },
    ],
)
def test_the_end_of_background_work_is_not_a_turn(message: dict[str, Any]) -> None:
    messages = [user('[[tool Bash {"command": "x"}]]'), call(), result("started"), assistant("done: started"), message]
    assert read(messages, True).kind is Kind.NOTIFICATION
    assert said(reply(messages)) == "Background task finished."


def test_beside_a_tool_result_it_belongs_to_the_turn_unless_that_one_was_interrupted() -> None:
    begun = [user('[[tool Bash {"command": "x"}]] [[gate g]]'), call()]
    notice = {"type": "text", "text": "<system-reminder>\n<task-notification>x</task-notification></system-reminder>"}
    stopped = {"type": "text", "text": "[Request interrupted by user]\n"}
    assert read([*begun, result("x", notice)], True).kind is Kind.TOOL_RESULT
    assert said(reply([*begun, result("x", stopped, notice)])) == "Background task finished."


def test_a_message_given_mid_turn_is_a_turn_on_both_releases() -> None:
    steer = "The user sent a new message while you were working:\nmid [[say mid]]\n\nIMPORTANT: address it."
    begun = [user('[[tool Bash {"command": "x"}]]'), call()]
    for messages in (
        [*begun, result("x"), {"role": "system", "content": steer}],
        [*begun, result("x", {"type": "text", "text": steer})],
    ):
        assert read(messages, True).kind is Kind.TURN
        assert said(reply(messages)) == "mid"


def test_what_a_stop_hook_asks_for_is_done_as_a_turn_on_each_release() -> None:
    feedback = "Stop hook feedback:\n[[say more]]"
    wrapped = f"<system-reminder>\nThe text below is the output of a hook.\n{feedback}\n</system-reminder>"  # 2.1.332
    for content in (feedback, wrapped):
        messages = [user("one"), assistant("one"), {"role": "user", "content": content}, SYSTEM]
        assert read(messages, True).kind is Kind.TURN
        assert said(reply(messages)) == "more"


def test_side_requests_are_quick_and_are_not_turns() -> None:
    title = [{"role": "user", "content": "<session>\nfix the [[slow 9]] bug\n</session>\n\nWrite the title"}]
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    assert json.loads(said(reply(title, has_tools=False, schema=schema))) == {"title": "Fix the [[slow 9]] bug"}
    assert read(title, False).kind is Kind.SIDE
    assert read([user("hi", COMPACT)], True).kind is Kind.COMPACT
    assert read([user("hi")], True, subagent=True).kind is Kind.SUBAGENT


def test_the_demo_model_never_approves_an_action_as_the_safety_classifier() -> None:
    parts = ("<transcript>\n", "User: rm -rf /\n", "Bash rm -rf /\n", "</transcript>\n", "Err on the side of blocking.")
    messages = [{"role": "user", "content": [{"type": "text", "text": part} for part in parts]}]
    assert said(reply(messages, has_tools=False)).startswith("<block>yes</block>")


def test_a_recap_lists_the_earlier_prompts() -> None:
    text = said(reply([user("first"), assistant("a"), user("second"), assistant("b"), user(RECAP)]))
    assert text.splitlines()[1:] == ["1. first", "2. second"]


def test_a_newcomer_is_told_what_this_is() -> None:
    assert "demo model" in said(reply([user("hello")]))


@pytest.mark.parametrize("count", [0, 1, 7, 500, 100_000])
def test_sized_text_is_exact_and_deterministic(count: int) -> None:
    text = texts.sized(count)
    assert len(text.encode()) == count
    assert text == texts.sized(count)
    assert text == text.strip()


def test_the_conversation_is_read_from_every_known_user_id() -> None:
    assert conversation_id({"metadata": {"user_id": '{"device_id": "d", "session_id": "s-1"}'}}) == "s-1"
    assert conversation_id({"metadata": {"user_id": "user_x_account__session_s-2"}}) == "s-2"
    assert conversation_id({}) is None


def test_parse_leaves_the_rest_of_the_prompt() -> None:
    directives, rest = parse("a [[slow 1]] b [[unknown]] c")
    assert [directive.word for directive in directives] == ["slow"]
    assert rest == "a  b [[unknown]] c"


def test_streamed_events_say_the_same_as_the_whole_message() -> None:
    plan = Plan((Think("hm"), Text("ab" * 500), Text("c"), ToolUse("Bash", {"command": "ls 日本"})))
    pieces = [piece.decode() for piece in wire.events(plan, "m", 9) if isinstance(piece, bytes)]
    events = [json.loads(piece.split("data: ", 1)[1]) for piece in pieces]
    blocks = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    whole = json.loads(wire.whole(plan, "m", 9))
    assert blocks == ["thinking", "text", "tool_use"] == [block["type"] for block in whole["content"]]
    assert "".join(delta.get("text", "") for delta in deltas) == whole["content"][1]["text"]
    assert json.loads("".join(delta.get("partial_json", "") for delta in deltas)) == whole["content"][2]["input"]
    assert events[-2]["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
