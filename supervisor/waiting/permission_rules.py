"""Which rule of the configuration (`permissions.rules`) answers a request: pure, by tool and pattern.

A rule that refuses wins over one that allows, wherever it stands. What must not regress: a rule that allows never stretches
over what its author did not mean. The wildcards of one that allows a command stand for no shell operator (`git status*` is
not `git status; rm -rf ~`), paths are compared without their `..`, and a question is always a person's to answer.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Any

import msgspec

from shared.claude_names import SUBJECTS
from shared.config import PermissionRule
from supervisor.claude.tools import PATHS
from supervisor.waiting.waiting import Permission

_OPERATORS = re.compile(r"[;&|<>`$(){}\n\r\\]")


def subject(tool_input: dict[str, Any]) -> tuple[str, str]:
    """What a pattern is compared with: the name of the input's telling field and its text, or all of it as JSON."""
    for name in SUBJECTS:
        value = tool_input.get(name)
        if isinstance(value, str):
            return name, os.path.normpath(value) if name in PATHS and value else value
    return "", msgspec.json.encode(tool_input, order="sorted").decode()


def decide(rules: list[PermissionRule], permission: Permission) -> PermissionRule | None:
    """The rule that answers a request; None leaves it to a person."""
    if permission.kind in ("question", "elicitation"):
        return None
    name, text = subject(permission.input)
    fitting = [rule for rule in rules if _fits(rule, permission, name, text)]
    refusing = (rule for rule in fitting if rule.answer == "deny")
    return next(refusing, fitting[0] if fitting else None)


def _fits(rule: PermissionRule, permission: Permission, name: str, text: str) -> bool:
    if not fnmatch.fnmatchcase(permission.tool, rule.tool):
        return False
    if permission.kind == "plan" and rule.tool != permission.tool:
        return False  # a plan is approved by a rule that names it, not by `*`
    if rule.answer == "allow" and name == "command" and rule.pattern != text and _OPERATORS.search(text):
        return False
    return fnmatch.fnmatchcase(text, rule.pattern)


def consider(rules: list[PermissionRule], permission: Permission) -> None:
    """Note the rule that is to answer a request, once; the rules of later do not change it."""
    if not permission.considered:
        permission.considered = True
        permission.rule = decide(rules, permission)
