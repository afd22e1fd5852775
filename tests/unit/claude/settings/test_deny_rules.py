"""The owner's rules that refuse, in Claude's own form: at least as wide, and none is dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.config import PermissionRule
from supervisor.claude.settings import hooks_off
from supervisor.claude.settings.deny_rules import translated


def deny(tool: str, pattern: str = "*") -> PermissionRule:
    return PermissionRule(tool=tool, pattern=pattern, answer="deny")


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        (deny("Bash", "touch*"), ["Bash(touch*)"]),
        (deny("Bash", "git (x)?[ab]"), ["Bash(git *x*)"]),
        (deny("Bash"), ["Bash"]),
        (deny("Read", "/a/*"), ["Read(//a/**)"]),
        (deny("Write", "/a/*.env"), ["Edit(//a/**/*.env)"]),
        (deny("NotebookEdit", "*/secrets/*"), ["Edit(//**/secrets/**)"]),
        (deny("Grep", "*.env"), ["Read(//**/*.env)"]),
        (deny("Read", "/a/b*c"), ["Read(//a/b*c)", "Read(//a/b*/**/*c)"]),
        (deny("WebFetch", "https://x.example/*"), ["WebFetch(domain:x.example)"]),
        (deny("mcp__github__*"), ["mcp__github__*"]),
        (deny("*Edit"), ["Edit", "MultiEdit", "NotebookEdit"]),
    ],
)
def test_a_rule_that_refuses_has_a_form_of_claudes(rule: PermissionRule, becomes: list[str]) -> None:
    assert translated([rule]).rules == becomes


def test_what_has_no_form_is_named_and_what_allows_is_none() -> None:
    odd = [deny("WebFetch", "*evil*"), deny("WebSearch", "x*"), deny("Read", "x/*"), deny("Nothing*", "x")]
    allow = PermissionRule(tool="Bash", answer="allow")
    found = translated([*odd, allow])
    assert (found.rules, found.left) == ([], odd)


def test_what_has_a_form_for_some_of_its_tools_only_is_named_too() -> None:
    rule = deny("*", "*secret*")
    found = translated([rule])
    assert {"Bash(*secret*)", "Read(//**/*secret*)"} <= set(found.rules)
    assert found.left == [rule]  # a search, an agent and an MCP server are asked without it


def test_everything_is_every_tool() -> None:
    rules = translated([deny("*")]).rules
    assert {"Bash", "Read", "Edit", "Write", "WebFetch", "mcp__*"} <= set(rules)


@pytest.mark.parametrize("name", ["managed-settings.json", "managed-settings.d/10-ours.json"])
@pytest.mark.parametrize("switch", ["disableAllHooks", "allowManagedHooksOnly"])
def test_that_hooks_will_be_off_is_read_from_what_an_administrator_manages(
    tmp_path: Path, name: str, switch: str
) -> None:
    assert not hooks_off.expected([], tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps({switch: True}))
    assert hooks_off.expected([], tmp_path)
    (tmp_path / name).write_text("{")
    assert not hooks_off.expected(["--verbose"], tmp_path)
    assert hooks_off.expected(["--bare"], tmp_path)
