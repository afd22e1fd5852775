"""What the CLI calls its files, variables, flags and signs is known in `supervisor/claude/` alone: a release that calls them
otherwise is met there."""

from __future__ import annotations

import ast
import re

from tests.harness import ROOT

FACT = re.compile(
    r"^CLAUDE_|^ANTHROPIC_|\.jsonl$|^projects/|^\.claude\b|^(settings|keybindings|scheduled_tasks)\.json|^\.credentials"
    r"|^--(resume|session-id|fork-session|settings|mcp-config|effort|permission-mode|dangerously|append-|add-dir|allowedTools)"
    r"|^claude-prompt|[\u276f\u23f8\u23f5\u25cf\u2610\u2612\u2714]|^prompt_input_exit$"
)
OURS = {"print.jsonl", "messages.jsonl"}
"""Files of our own that are called alike."""


def test_what_the_cli_calls_things_is_known_in_one_room() -> None:
    found = []
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        if "claude" in path.relative_to(ROOT / "supervisor").parts or path.name == "emulator_abi.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            word = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if " " not in word and FACT.search(word) and word not in OURS:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {word!r}")
    assert found == []
