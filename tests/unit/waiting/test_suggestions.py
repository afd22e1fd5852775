"""What "always" would change is said in words, one that nobody here knows yet too."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.waiting.suggestions import words

RULE = {"toolName": "Bash", "ruleContent": "npm test:*"}


@pytest.mark.parametrize(
    ("suggestion", "said"),
    [
        (
            {
                "type": "addRules",
                "behavior": "allow",
                "rules": [RULE, {"toolName": "Read"}],
                "destination": "localSettings",
            },
            "allow Bash(npm test:*), Read, in this project",
        ),
        (
            {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
            "permission mode acceptEdits, in this session",
        ),
        ({"type": "addDirectories", "directories": ["/a", "/b"]}, "access to /a, /b, in this session"),
        (
            {"type": "replaceRules", "rules": [RULE], "destination": "projectSettings"},
            "replaceRules Bash(npm test:*), in this project, for everyone",
        ),
        (
            {"type": "removeDirectories", "directories": ["/a"], "destination": "userSettings"},
            "removeDirectories /a, everywhere",
        ),
        ({"type": "addRules", "behavior": "deny", "rules": ["odd"], "destination": "cliArg"}, "deny , cliArg"),
        ("odd", "odd"),
    ],
)
def test_an_update_is_said_whole(suggestion: Any, said: str) -> None:
    assert words(suggestion) == said
