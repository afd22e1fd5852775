"""What a `tool` event says of a tool's use, made from one of its hooks.

PreToolUse comes before anybody is asked, so it tells what Claude wants; where an answer has put something else in its place, the
event of the end tells what really ran.
"""

from __future__ import annotations

from typing import Any

from supervisor.claude.hooks import POST_TOOL_USE, PRE_TOOL_USE


def told(name: str, payload: dict[str, Any], changed: bool) -> dict[str, Any]:
    """`changed`: whether it ran with another input than was asked for."""
    data = {
        "phase": {PRE_TOOL_USE: "started", POST_TOOL_USE: "finished"}.get(name, "failed"),
        "tool": payload.get("tool_name"),
        "toolUseId": payload.get("tool_use_id"),
    }
    if name == PRE_TOOL_USE:
        return data | {"input": payload.get("tool_input")}
    if name == POST_TOOL_USE:
        data |= {"result": payload.get("tool_response"), "durationMs": payload.get("duration_ms")}
    else:
        data["error"] = payload.get("error") or payload.get("reason")
    return data | ({"input": payload.get("tool_input")} if changed else {})
