"""The words the demo model says when the prompt does not dictate them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

HELP = """\
Hello! I am the **demo model**: a script on this machine that stands in for Claude, so that you can try everything
without a login. Nothing you type leaves this computer. Try one of these:

- `Remember the word maple`, later `What word did I ask you to remember?`
- `echo: any text` comes back exactly
- `[[tool Bash {"command": "touch made.txt"}]]` runs a tool, and asks you for permission first
- `[[ask "Which color?" Red Blue]]` asks you a question
- `[[plan Paint the shed]]` proposes a plan
- `[[stream 5]] [[size 3000]]` writes slowly; `[[slow 10]]` thinks first
- `[[status 529]]` fails the way an overloaded service does
"""

_TAGGED = re.compile(r"\s*<(\w+)>(.*?)</\1>", re.DOTALL)
_SUMMARY = "In this conversation you asked:"

_PART = """\
## Part {n}

Plain words, **bold**, `code`, and a [link](http://127.0.0.1/). Grüße, naïve café, Ελληνικά, кириллица.
- 日本語の文章です。 漢字とかな。
- 中文段落、包含标点符号。 한국어 문장.
- Emoji: 🚀 👩‍💻 🏳️‍🌈 ✅

```python
def part_{n}() -> int:
    return {n}
```

| row | value |
| --- | --- |
| {n} | x² ≤ ∞ |

"""


def sized(count: int) -> str:
    """Deterministic text of exactly `count` bytes in UTF-8; its parts are numbered, so a hole in it shows."""
    parts: list[str] = []
    size = 0
    while size < count:
        part = _PART.format(n=len(parts) + 1)
        parts.append(part)
        size += len(part.encode())
    kept = "".join(parts).encode()[: max(count - 1, 0)].decode(errors="ignore")
    return kept + "." * (count - len(kept.encode()))


def summary(prompts: Sequence[str]) -> str:
    """What was asked so far: short for a person, and `summarized` reads it back when it returns as a prompt."""
    if not prompts:
        return "We have not talked about anything yet."
    lines = [f"{number}. {' '.join(prompt.split())[:200]}" for number, prompt in enumerate(prompts[-50:], 1)]
    return f"{_SUMMARY}\n" + "\n".join(lines)


def summarized(text: str) -> list[str]:
    """The prompts listed in a summary of ours; none if there is no such summary in the text."""
    listed = text.partition(f"{_SUMMARY}\n")[2].partition("\n\n")[0]
    return [line.partition(". ")[2] for line in listed.splitlines()]


def title(text: str) -> str:
    """A session title: the first words of what the person said, which comes inside a tag."""
    tagged = _TAGGED.match(text)
    words = " ".join((tagged.group(2) if tagged else text).split()[:6])[:60]
    return words.capitalize() or "Demo conversation"


def from_schema(schema: Mapping[str, Any], subject: str) -> str:
    """A plausible JSON object for a side request that demands structured output."""
    properties = schema.get("properties")
    empty: dict[str, Any] = {"boolean": False, "integer": 0, "number": 0, "array": [], "object": {}, "null": None}
    values: dict[str, Any] = {}
    for name, rule in properties.items() if isinstance(properties, dict) else ():
        choices = rule.get("enum")
        values[name] = choices[0] if choices else empty.get(rule.get("type"), title(subject))
    return json.dumps(values, ensure_ascii=False)
