"""Decides what the demo model answers, from the request alone.

Pure and stateless: the same messages give the same plan, so a conversation that is resumed, forked or
replayed goes on as if nothing had happened. The one thing the messages cannot tell, how often this
request was tried before, is passed in as `attempt`.

A prompt's tool directives cut it into legs: leg 0 answers the prompt, leg 1 the first tool's result, and
so on; the last leg speaks the final text. `slow`, `gate`, `think` and `status` act in the leg they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from demo import texts
from demo.directives import Directive, parse, parse_leading
from demo.messages import Kind, Message, Reading, is_continuation, prompt_text, read
from demo.plan import Drop, Fail, Gate, Plan, Step, Text, Think, Wait
from demo.planmode import plan_calls

RECAP = "Please provide a brief summary of our conversation so far."
_REMEMBER = re.compile(r"\bremember the word[:\s]+[\"'“`*]*([^\s\"'”`*.,;!?]+)", re.IGNORECASE)
_RECALL = re.compile(r"\bwh(?:at|ich) word did I ask you to remember\b", re.IGNORECASE)
_GREETING = re.compile(r"(hello|hi|hey|help|good (morning|evening)|what can you do)\b", re.IGNORECASE)
_LONGEST_RESULT = 2000
_LONGEST_QUOTE = 500


def reply(
    messages: Sequence[Message],
    has_tools: bool = True,
    attempt: int = 1,
    schema: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan for one request. `schema` is the JSON schema the request wants its answer in, if any."""
    return respond(read(messages, has_tools), attempt, schema)


def respond(reading: Reading, attempt: int = 1, schema: Mapping[str, Any] | None = None) -> Plan:
    """`reply` for a message list that has been read already."""
    if schema is not None:
        return _say(texts.from_schema(schema, reading.prompt))
    match reading.kind:
        case Kind.SIDE:
            return _say(_side(reading))
        case Kind.COMPACT:
            # The prompt ends with what a person has added to `/compact`.
            summary = Text(f"<summary>\n{texts.summary(_history(reading))}\n</summary>")
            return Plan((*_opening(parse(reading.prompt)[0], attempt), summary))
        case Kind.NOTIFICATION:
            return _say("Background task finished.")
        case Kind.CONTINUATION:
            return _say("I will go on from the summary.")
        case Kind.TURN | Kind.TOOL_RESULT | Kind.SUBAGENT:
            return _converse(reading, attempt)


def _say(text: str) -> Plan:
    return Plan((Text(text),))


def _side(reading: Reading) -> str:
    prompt = reading.prompt.lstrip()
    if any(text.startswith("<transcript>") for text in reading.prompts):
        # The auto mode classifier of 197. A script cannot review an action, so it approves none; nor does 330 without
        # its server-side check.
        return "<block>yes</block><reason>The demo model does not review actions.</reason>"
    return texts.title(prompt) if prompt.startswith(("<session>", "<conversation>")) else _answer(prompt, reading)


def _history(reading: Reading) -> list[str]:
    """The earlier prompts; a compacted conversation carries the oldest ones in its summary."""
    history: list[str] = []
    for prompt in reading.prompts[:-1]:
        history += texts.summarized(prompt) if is_continuation(prompt) else [prompt_text(prompt).strip()]
    return history


def _converse(reading: Reading, attempt: int) -> Plan:
    prompt = prompt_text(reading.prompt)
    directives, rest = parse_leading(prompt)
    echo = rest.startswith("echo:")
    if not echo:
        directives, rest = parse(prompt)
    legs = _legs(directives, reading)
    leg = legs[min(len(reading.called), len(legs) - 1)]
    steps = _opening(leg, attempt)
    before = _argument(directives, "before")
    calls = leg[-1].tools if leg else ()
    if calls:
        return Plan((*steps, *([Text(before)] if before else []), *calls))
    text = rest.removeprefix("echo:").removeprefix(" ") if echo else _final_text(directives, rest, reading)
    return Plan((*steps, *_closing(directives, text, attempt)))


def _legs(directives: Sequence[Directive], reading: Reading) -> list[list[Directive]]:
    legs: list[list[Directive]] = [[]]
    for directive in directives:
        if directive.word == "plan":
            calls = plan_calls(directive.argument, reading.called[len(legs) - 1 :], reading.plan_mode)
            legs[-1].append(replace(directive, tools=(calls[0],)))
            legs += [[replace(directive, tools=(call,))] for call in calls[1:]]
        else:
            legs[-1].append(directive)
        if directive.tools:
            legs.append([])
    return legs


def _opening(leg: Sequence[Directive], attempt: int) -> list[Step]:
    steps: list[Step] = []
    for directive in leg:
        match directive.word:
            case "slow":
                steps.append(Wait(float(directive.argument)))
            case "gate":
                steps.append(Gate(directive.argument))
            case "status" if _still(directive, attempt):
                steps.append(Fail(int(directive.argument[:3])))
            case "think":
                steps.append(Think(directive.argument))
    # A thinking block is content: whatever holds back the first byte or refuses the request comes first.
    return sorted(steps, key=lambda step: isinstance(step, Think))


def _still(directive: Directive, attempt: int) -> bool:
    _, limited, tries = directive.argument.rpartition("x")
    return not limited or attempt <= int(tries)


def _closing(directives: Sequence[Directive], text: str, attempt: int) -> list[Step]:
    words = {directive.word: directive for directive in directives}
    over = float(words["stream"].argument) if "stream" in words else 0.0
    drop = "drop" in words and _still(words["drop"], attempt)
    if not drop and "midgate" not in words:
        return [Text(text, over)] if text else []
    middle = (len(text) + 1) // 2
    steps: list[Step] = [Text(text[:middle], over / 2)]
    if "midgate" in words:
        steps.append(Gate(words["midgate"].argument))
    steps.append(Drop() if drop else Text(text[middle:], over / 2))
    return steps


def _argument(directives: Sequence[Directive], word: str) -> str | None:
    found = [directive.argument for directive in directives if directive.word == word]
    return "\n".join(found) if found else None


def _final_text(directives: Sequence[Directive], rest: str, reading: Reading) -> str:
    if any(directive.word == "empty" for directive in directives):
        return ""
    size = _argument(directives, "size")
    if size is not None:
        return texts.sized(int(size.splitlines()[-1]))
    said = _argument(directives, "say")
    if said is not None:
        return said
    if reading.results:
        return "done: " + "\n".join(reading.results)[:_LONGEST_RESULT]
    return _answer(rest, reading) if rest or not directives else "Done."


def _answer(text: str, reading: Reading) -> str:
    if RECAP in text:
        return texts.summary(_history(reading))
    if _RECALL.search(text):
        return _remembered(_history(reading)) or "You have not asked me to remember a word."
    if match := _REMEMBER.search(text):
        return f"I will remember the word {match.group(1)}."
    if _GREETING.match(text.strip()) and len(text) < 60:
        return texts.HELP
    return "You said: " + text[:_LONGEST_QUOTE]


def _remembered(history: Sequence[str]) -> str | None:
    for prompt in reversed(history):
        words: list[str] = _REMEMBER.findall(prompt)
        if words and not _RECALL.search(prompt):
            return words[-1]
    return None
