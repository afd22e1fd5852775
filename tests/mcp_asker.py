"""An MCP server that asks: its tool `ask` puts a form before the person, and tells as its result what it was answered.

JSON-RPC by hand, a line each. Run as a program, which is how `claude` starts it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "How you are called"},
        "sure": {"type": "boolean", "title": "Are you sure?", "default": False},
        "color": {"type": "string", "enum": ["red", "green"], "title": "Color"},
    },
    "required": ["name", "sure"],
}
TOOL = {"name": "ask", "description": "Ask the person", "inputSchema": {"type": "object", "properties": {}}}


def write(**message: Any) -> None:
    """Send one message."""
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main() -> None:
    """Serve until the input ends."""
    asked: Any = None
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            info = {"name": "asker", "version": "1"}
            version = message["params"]["protocolVersion"]
            write(id=number, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
        elif method == "tools/list":
            write(id=number, result={"tools": [TOOL]})
        elif method == "tools/call":
            asked = number
            write(id="form", method="elicitation/create", params={"message": "Who are you?", "requestedSchema": FORM})
        elif method is None and number == "form":
            text = json.dumps(message.get("result", message.get("error")), sort_keys=True)
            write(id=asked, result={"content": [{"type": "text", "text": text}]})
        elif number is not None:
            write(id=number, result={})


if __name__ == "__main__":
    main()
