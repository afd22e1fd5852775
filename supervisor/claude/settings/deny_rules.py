"""The owner's rules that refuse, in Claude's own form: for a session in which no hook asks them (`permissions.deny`).

What must not regress: what is translated refuses at least what the rule refuses, rather more; what cannot be said in Claude's
form is named, not dropped. The rule's `message` has no place there: Claude says in its own words that it was refused.

Ours are shell patterns over the whole text. Claude's are, by tool: a command with `*`; lines of a `.gitignore` for files, where
`*` stops at a `/`, `Read` stands for all that reads and `Edit` for all that writes; a domain for WebFetch; and the bare name of
any tool.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.config import PermissionRule

_FILES = {
    "Read": "Read",
    "Glob": "Read",
    "Grep": "Read",
    "LS": "Read",
    "NotebookRead": "Read",
    "Edit": "Edit",
    "MultiEdit": "Edit",
    "Write": "Edit",
    "NotebookEdit": "Edit",
}
_PLAIN = ("Bash", "WebFetch", "WebSearch", "Agent", "Task", "Skill", "SlashCommand", "KillShell", "BashOutput")
TOOLS = (*_FILES, *_PLAIN)
"""What a pattern for tools may stand for."""

MOST_ALTERNATIVES = 8
_URL = re.compile(r"^https?\*?://([\w.-]+)(?:[/:*].*)?$")


@dataclass(frozen=True)
class Translated:
    """Claude's rules, and ours that have no such form, or not for every tool that they are about."""

    rules: list[str]
    left: list[PermissionRule]


def translated(rules: Sequence[PermissionRule]) -> Translated:
    """Those that refuse, in Claude's form."""
    found: list[str] = []
    left: list[PermissionRule] = []
    for rule in rules:
        if rule.answer == "deny":
            forms = [_forms(tool, rule.pattern) for tool in _tools(rule.tool)]
            found += itertools.chain(*forms)
            if not forms or not all(forms):
                left.append(rule)
    return Translated(list(dict.fromkeys(found)), left)


def _tools(pattern: str) -> list[str]:
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    known = [tool for tool in TOOLS if fnmatch.fnmatchcase(tool, pattern)]
    of_servers = pattern.startswith("mcp__") and re.fullmatch(r"[\w-]+\*?", pattern)
    return [*known, *([pattern] if of_servers else []), *(["mcp__*"] if pattern == "*" else [])]


def _forms(tool: str, pattern: str) -> list[str]:
    if pattern == "*":
        return [tool]
    if tool == "Bash":
        return [f"Bash({_wider(pattern)})"]
    if tool in _FILES:
        return [f"{_FILES[tool]}({path})" for path in _paths(pattern)]
    host = _URL.match(pattern) if tool == "WebFetch" else None
    return [f"WebFetch(domain:{host.group(1)})"] if host else []


def _wider(pattern: str) -> str:
    """With `*` for whatever Claude's form has no sign for, or another meaning."""
    return re.sub(r"\*+", "*", re.sub(r"\[[^\]]*\]|[?()\\\n]|:(?=\*$)", "*", pattern))


def _paths(pattern: str) -> list[str]:
    """Lines of a `.gitignore` that together cover the pattern, whose `*` goes over folders."""
    if not pattern.startswith(("/", "*")):
        return []
    pieces = re.split(r"\*+", re.sub(r"\[[^\]]*\]|[?()\\!#]", "?", pattern))
    choices: list[list[str]] = []
    for before, behind in itertools.pairwise(pieces):
        opens, closes = before.endswith("/") or before == "", behind.startswith("/") or behind == ""
        if opens:
            choices.append(["**"] if closes else ["**/*"])
        else:
            choices.append(["*"] if behind == "" else ["*/**"] if closes else ["*", "*/**/*"])
    lines = [
        "".join(itertools.chain(*zip(pieces, [*chosen, ""], strict=True))) for chosen in itertools.product(*choices)
    ]
    if len(lines) > MOST_ALTERNATIVES:
        return []
    return [f"/{line}" if line.startswith("/") else f"//{line}" for line in lines]
