"""What another `claude` of this account does to send a message to a session: through its inbox socket."""

from __future__ import annotations

import json
import socket
import uuid
from pathlib import Path
from typing import Any

from tests.harness import House


def _status(home: Path, pid: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / ".claude" / "sessions" / f"{pid}.json").read_text())
    return found


def has_inbox(home: Path, pid: int) -> bool:
    """Whether this process takes messages at all."""
    return "messagingSocketPath" in _status(home, pid)


def of_session(text: str, mode: str) -> str:
    """A text as a session of another permission class sends it: `bypass` or `prompting`."""
    return f'<cross-session-message from="uds:/x.sock" from-mode="{mode}">\n{text}\n</cross-session-message>'


def send_as_peer(home: Path, pid: int, text: str, priority: str = "now") -> None:
    """Send it, and wait until the other end has read it."""
    inbox = _status(home, pid)["messagingSocketPath"]
    token = json.loads(next((home / ".claude" / "sessions").glob(f"{pid}.*.key")).read_text())["peerToken"]
    message = {"role": "user", "content": text}
    lines: list[dict[str, Any]] = [
        {"type": "auth", "token": token},
        {"type": "user", "msg_id": str(uuid.uuid4()), "from": "uds:/x.sock", "priority": priority, "message": message},
    ]
    with socket.socket(socket.AF_UNIX) as sender:
        sender.settimeout(30)
        sender.connect(inbox)
        sender.sendall("".join(json.dumps(line) + "\n" for line in lines).encode())
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(4096):
            pass


def reach_in(house: House, session: str, text: str, priority: str = "now") -> None:
    """The same to a session of a house."""
    send_as_peer(house.claude_home, house.session(session)["pid"], text, priority)
