"""What the CLI calls its hooks, tools, files and variables is known in one room: `supervisor/claude/`, and in
`shared/claude_names.py` what the command line has to know as well.

Whoever wants to know what a new release changes has one place to look. The list below is Claude's, not ours: it holds names that
nothing uses yet. The demo's model plays the service that the CLI talks to, so its scripts call tools by name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.unit.test_arrows import modules

HOOKS = """
    CwdChanged Elicitation ElicitationResult MessageDisplay Notification PermissionDenied PermissionRequest
    PostCompact PostModelSwitch PostToolUse PostToolUseFailure PreCompact PreToolUse SessionEnd SessionStart
    Stop StopFailure SubagentStart SubagentStop UserPromptSubmit WorktreeCreate WorktreeRemove
"""
TOOLS = """
    Agent AskUserQuestion Bash BashOutput CronCreate CronDelete CronList Edit EnterPlanMode EnterWorktree
    ExitPlanMode ExitWorktree Glob Grep KillShell LS MultiEdit NotebookEdit NotebookRead Read ScheduleWakeup
    Skill SlashCommand Task TodoWrite WebFetch WebSearch Write
"""
NAMES = frozenset(HOOKS.split() + TOOLS.split())
WITHIN = re.compile(
    r"\b(?:ANTHROPIC_\w+|CLAUDE_CODE_\w+|CLAUDE_CONFIG_DIR|apiKeyHelper|disableA\w+)\b|\.claude\.json|\.credentials\.json"
    r"|No conversation found|prompt_input_exit|[❯⏵⎿●╭╰☐]"
)
"""Variables, files, settings, what it says when it ends, and what it draws."""

AT_HOME = ("supervisor/claude/", "shared/claude_names.py", "demo/")
EXAMPLES = {"api/reference/example_values.py": {"Bash"}, "api/reference/service_calls.py": {"Bash"}}
"""The reference shows a request as it may look."""


def said(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each string of a module but those that explain it."""
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained:
            yield node.value, node.lineno


def test_only_one_room_knows_what_the_cli_calls_things() -> None:
    found = [
        (path.as_posix(), line, text)
        for path, tree in modules()
        if not path.as_posix().startswith(AT_HOME)
        for text, line in said(tree)
        if text in NAMES or WITHIN.search(text)
    ]
    assert [one for one in found if one[2] not in EXAMPLES.get(one[0], ())] == []
    assert {path for path, _, _ in found} == set(EXAMPLES), "an exception that is none any more"


def test_every_hook_that_is_asked_for_is_in_the_list() -> None:
    from supervisor.claude import hooks

    assert {*hooks.ASYNC_EVENTS, *hooks.ASKING_EVENTS, *hooks.NEWER_EVENTS} <= set(HOOKS.split())
