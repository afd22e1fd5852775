"""The words of a hook that has refused a prompt, without the prompt."""

from __future__ import annotations

import pytest

from supervisor.claude.prompt_refusal import reason

BLOCKED = "UserPromptSubmit operation blocked by hook:\n"


@pytest.mark.parametrize(
    ("notice", "prompt", "words"),
    [
        (f"{BLOCKED}[sh /a/b.sh]: No secrets\n\n\nOriginal prompt: my key", "my key", "No secrets"),
        (f"{BLOCKED}No secrets\n\nOriginal prompt: my key", "my key ", "No secrets"),
        (f"{BLOCKED}of\ntwo lines\n\nOriginal prompt: my\n\nkey", "my\n\nkey", "of\ntwo lines"),
        (f"{BLOCKED}no\n\nOriginal prompt: Original prompt: x", "Original prompt: x", "no"),
        (f"{BLOCKED}no\n\nOriginal prompt: Original prompt: x", "x", "no\n\nOriginal prompt:"),
        (f"{BLOCKED}no\n\nOriginal prompt: another", "my key", None),
        ("Operation stopped by hook: No secrets", "my key", "No secrets"),
        ("Held peer message", "my key", None),
        (f"{BLOCKED}\n\nOriginal prompt: my key", "my key", ""),
    ],
)
def test_reason(notice: str, prompt: str, words: str | None) -> None:
    assert reason(notice, prompt) == words
