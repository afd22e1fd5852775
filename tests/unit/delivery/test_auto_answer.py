"""What rules answer, and above all what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.config import PermissionRule
from supervisor.waiting.permission_rules import decide
from supervisor.waiting.waiting import Permission


def asked(tool: str, **given: Any) -> Permission:
    return Permission.from_hook(Path("/nowhere/1.0"), {"tool_name": tool, "tool_input": given})


def allow(tool: str, pattern: str = "*") -> PermissionRule:
    return PermissionRule(tool=tool, pattern=pattern, answer="allow")


def deny(tool: str, pattern: str = "*") -> PermissionRule:
    return PermissionRule(tool=tool, pattern=pattern, answer="deny")


def test_without_a_rule_a_person_is_asked() -> None:
    assert decide([], asked("Bash", command="ls")) is None
    assert decide([allow("Bash", "git *"), allow("Read")], asked("Bash", command="ls")) is None


def test_tool_and_pattern_take_wildcards_and_compare_the_whole() -> None:
    rule = allow("Bash", "git status*")
    assert decide([rule], asked("Bash", command="git status -s")) is rule
    assert decide([rule], asked("Bash", command="sudo git status")) is None
    mcp = allow("mcp__files__*")
    assert decide([mcp], asked("mcp__files__read", path="x")) is mcp
    whole = allow("Tool", '{"a":1,"b":2}')
    assert decide([whole], asked("Tool", b=2, a=1)) is whole


@pytest.mark.parametrize(
    "tail", ["; rm x", " && rm x", "| sh", "\nrm x", " $(rm x)", " `rm x`", " > /etc/passwd", " & rm x", "\\"]
)
def test_a_wildcard_that_allows_a_command_stands_for_no_shell_operator(tail: str) -> None:
    command = f"git status{tail}"
    assert decide([allow("Bash", "git status*"), allow("*")], asked("Bash", command=command)) is None
    exact = allow("Bash", "make && make test")
    assert decide([exact], asked("Bash", command="make && make test")) is exact
    refusing = deny("Bash", "git status*")
    assert decide([refusing], asked("Bash", command=command)) is refusing


def test_a_rule_that_denies_wins_wherever_it_stands() -> None:
    refusing = deny("Write", "*.env")
    assert decide([allow("*"), refusing], asked("Write", file_path="/p/.env")) is refusing


def test_paths_are_compared_without_their_detours() -> None:
    rule = allow("Write", "/project/*")
    assert decide([rule], asked("Write", file_path="/project/a/b")) is rule
    assert decide([rule], asked("Write", file_path="/project/../etc/passwd")) is None


def test_questions_are_a_persons_and_a_plan_needs_a_rule_by_name() -> None:
    assert decide([allow("*"), allow("AskUserQuestion")], asked("AskUserQuestion", questions=[])) is None
    assert decide([allow("*")], asked("ExitPlanMode", plan="go")) is None
    named = allow("ExitPlanMode")
    assert decide([named], asked("ExitPlanMode", plan="go")) is named
