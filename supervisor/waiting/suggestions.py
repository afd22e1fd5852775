"""What "always" would change, in words a person can decide on: Claude proposes permission updates as data.

What must not regress: each of them is named, one that a newer release brings too, and how far it reaches is said.
"""

from __future__ import annotations

from typing import Any

_REACH = {
    "session": "in this session",
    "localSettings": "in this project",
    "projectSettings": "in this project, for everyone",
    "userSettings": "everywhere",
}


def words(suggestion: Any) -> str:
    """A permission update in words: what it holds, and how far it reaches."""
    if not isinstance(suggestion, dict):
        return str(suggestion)
    rules = [
        f"{rule.get('toolName')}({rule['ruleContent']})" if rule.get("ruleContent") else str(rule.get("toolName"))
        for rule in suggestion.get("rules") or []
        if isinstance(rule, dict)
    ]
    kind, folders = suggestion.get("type"), ", ".join(map(str, suggestion.get("directories") or []))
    told = {
        "addRules": f"{suggestion.get('behavior')} {', '.join(rules)}",
        "setMode": f"permission mode {suggestion.get('mode')}",
        "addDirectories": f"access to {folders}",
    }
    held = told.get(str(kind)) or " ".join(
        filter(None, [str(kind), *rules, folders, str(suggestion.get("mode") or "")])
    )
    reach = str(suggestion.get("destination", "session"))
    return f"{held}, {_REACH.get(reach, reach)}"
