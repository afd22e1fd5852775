"""What Claude says when a person's UserPromptSubmit hook has refused a prompt, or ended its turn before it began.

It says so in a notice of its own, without a Stop, and for the person who reads it adds the prompt, which must not get into an
error. Wording of 2.1.197 and 2.1.330:

    UserPromptSubmit operation blocked by hook:\\n[<command>]: <reason>\\n\\n\\nOriginal prompt: <prompt>
    Operation stopped by hook: <reason>
"""

from __future__ import annotations

import re

from supervisor.claude.texts.prompts import same_prompt

_BLOCKED = "UserPromptSubmit operation blocked by hook:"
_STOPPED = "Operation stopped by hook:"
_ORIGINAL = "Original prompt: "
_COMMAND = re.compile(r"\A\[[^\n]*?\]: ")
MAX_REASON = 2000


def reason(notice: str, prompt: str) -> str | None:
    """The hook's own words; None when the notice is not about this prompt. One that was stopped is not named in it."""
    text = notice.strip()
    if text.startswith(_STOPPED):
        return _short(text.removeprefix(_STOPPED))
    if not text.startswith(_BLOCKED):
        return None
    at = text.find(_ORIGINAL)
    while at >= 0:
        if same_prompt(text[at + len(_ORIGINAL) :].strip(), prompt.strip()):
            return _short(text[len(_BLOCKED) : at])
        at = text.find(_ORIGINAL, at + 1)
    return None


def is_stop(notice: str) -> bool:
    """Whether it ended a turn, whose first line is the prompt, rather than keep the prompt from having one."""
    return notice.strip().startswith(_STOPPED)


def _short(words: str) -> str:
    return _COMMAND.sub("", words.strip())[:MAX_REASON].strip()
