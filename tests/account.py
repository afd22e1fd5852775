"""What a house looks like while a test has just failed: without it a failure that comes once in a hundred runs tells nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.harness import House

LAST_EVENTS = 60
LAST_LINES = 40
TIMEOUT_SECONDS = 5.0


def account(house: House) -> str:
    """Sessions, messages, screens, the end of the journal and of the logs, and what stands at the model's gates."""
    return "\n".join(f"-- {title}\n{_tried(tell)}" for title, tell in _chapters(house))


def _tried(tell: Callable[[], Any]) -> str:
    try:
        told = tell()
    except Exception as error:  # the boundary: what cannot be told must not hide the failure itself
        return f"not told: {type(error).__name__}: {error}"
    return told if isinstance(told, str) else json.dumps(told, default=str)


def _chapters(house: House) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "time", lambda: int(time.time() * 1000)
    yield "gates", lambda: house.model.gates()
    yield "requests", lambda: "\n".join(map(str, house.model.requests()[-10:]))
    for log in sorted([*house.folder.glob("*.err"), *house.paths.log_dir.glob("*.log")]):
        yield log.name, lambda log=log: "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    if house.supervisor is None or house.supervisor.poll() is not None:
        return
    try:
        sessions = _call(house, "session.list", {})["sessions"]
        events = house.events()[-LAST_EVENTS:]
    except Exception as error:
        yield "sessions", lambda error=error: f"not told: {type(error).__name__}: {error}"
        return
    for session in sessions:
        identity = {"sessionId": session["id"]}
        yield "session", lambda session=session: session
        yield "messages", lambda identity=identity: _call(house, "message.list", identity)
        yield "screen", lambda identity=identity: _call(house, "session.screen", identity)["text"]
        hooks = house.paths.session_dir(session["id"]) / "hooks.log"
        yield "hooks", lambda hooks=hooks: hooks.read_text(errors="replace")[-4000:]
    yield "journal", lambda: "\n".join(map(json.dumps, events))


def _call(house: House, op: str, args: dict[str, Any]) -> Any:
    return house.call(op, args, timeout=TIMEOUT_SECONDS)
