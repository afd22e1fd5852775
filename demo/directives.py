"""Parses the `[[...]]` directives of a prompt.

The grammar is closed: only the words below are directives, so that `[[ -f x ]]` in a shell snippet stays
text. A tool's JSON input may itself contain `]]`, which is why it is decoded and not searched for. A
directive that cannot be read stays text, and the reply shows it to whoever mistyped it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from demo.plan import ToolUse

_OPEN = re.compile(
    r"\[\[(slow|stream|gate|midgate|size|status|tools|tool|say|before|think|drop|empty|ask|plan)(?=[\s\]])[ \t]*"
)
_SIMPLE = {
    "slow": re.compile(r"\d+(\.\d+)?"),
    "stream": re.compile(r"\d+(\.\d+)?"),
    "gate": re.compile(r"[\w.:-]+"),
    "midgate": re.compile(r"[\w.:-]+"),
    "size": re.compile(r"\d+"),
    "status": re.compile(r"[45]\d\d( x\d+)?"),
    "drop": re.compile(r"(x\d+)?"),
    "empty": re.compile(r""),
    "say": re.compile(r".*", re.DOTALL),
    "before": re.compile(r".*", re.DOTALL),
    "think": re.compile(r".*", re.DOTALL),
    "plan": re.compile(r".*", re.DOTALL),
    "ask": re.compile(r".+", re.DOTALL),
}
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its word, its argument as written, and the tool calls it asks for."""

    word: str
    argument: str = ""
    tools: tuple[ToolUse, ...] = ()


def parse(prompt: str) -> tuple[tuple[Directive, ...], str]:
    """All directives in order, and the prompt without them (stripped)."""
    found: list[Directive] = []
    rest: list[str] = []
    at = 0
    for start, end, directive in _scan(prompt):
        found.append(directive)
        rest.append(prompt[at:start])
        at = end
    rest.append(prompt[at:])
    return tuple(found), "".join(rest).strip()


def parse_leading(prompt: str) -> tuple[tuple[Directive, ...], str]:
    """The directives in front of the first other text, and everything from there on, untouched."""
    found: list[Directive] = []
    at = 0
    for start, end, directive in _scan(prompt):
        if prompt[at:start].strip():
            break
        found.append(directive)
        at = end
    return tuple(found), prompt[at:].lstrip()


def _scan(prompt: str) -> Iterator[tuple[int, int, Directive]]:
    at = 0
    while match := _OPEN.search(prompt, at):
        at = match.end()
        read = _tool(match.group(1), prompt, at) if match.group(1).startswith("tool") else _simple(match, prompt)
        if read is not None:
            directive, at = read
            yield match.start(), at, directive


def _simple(match: re.Match[str], prompt: str) -> tuple[Directive, int] | None:
    word = match.group(1)
    close = prompt.find("]]", match.end())
    if close < 0:
        return None
    argument = prompt[match.end() : close].strip()
    if not _SIMPLE[word].fullmatch(argument):
        return None
    tools: tuple[ToolUse, ...] = ()
    if word == "ask":
        question = _question(argument)
        if question is None:
            return None
        tools = (question,)
    elif word == "plan":
        tools = (ToolUse("ExitPlanMode", {"plan": argument}),)
    return Directive(word, argument, tools), close + 2


def _tool(word: str, prompt: str, at: int) -> tuple[Directive, int] | None:
    head = re.compile(r"(\d+)[ \t]+(\S+)\s*" if word == "tools" else r"()([^\s{\]]+)\s*").match(prompt, at)
    if head is None:
        return None
    given: Any = {}
    at = head.end()
    if not prompt.startswith("]]", at):
        try:
            given, at = _DECODER.raw_decode(prompt, at)
        except ValueError:
            return None
    close = re.compile(r"\s*\]\]").match(prompt, at)
    if close is None or not isinstance(given, dict):
        return None
    name = head.group(2)
    count = int(head.group(1) or 1)
    tools = tuple(ToolUse(name, _numbered(given, i) if word == "tools" else given) for i in range(1, count + 1))
    return Directive(word, prompt[head.start() : at], tools), close.end()


def _numbered(given: dict[str, Any], number: int) -> dict[str, Any]:
    return {key: value.replace("{i}", str(number)) if isinstance(value, str) else value for key, value in given.items()}


def _question(argument: str) -> ToolUse | None:
    """`[multi] "Which color?" Red Blue` as the input of AskUserQuestion, which wants two to four options."""
    try:
        words = shlex.split(argument)
    except ValueError:
        return None
    several = words[0] == "multi"
    question, *labels = words[several:] or [""]
    if not 2 <= len(labels) <= 4:
        return None
    options = [{"label": label, "description": f"Choose {label}"} for label in labels]
    entry = {"question": question, "header": "Question", "options": options, "multiSelect": several}
    return ToolUse("AskUserQuestion", {"questions": [entry]})
