"""What a house looks like while a test has just failed: without it a failure that comes once in a hundred runs tells nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness import House

LAST_EVENTS = 60
LAST_LINES = 40
LAST_CHARACTERS = 10000
TIMEOUT_SECONDS = 5.0


def account(house: House) -> str:
    """Sessions, messages, screens, the end of the journal and of the logs, and what stands at the model's gates."""
    chapters: list[str] = []

    def tell(title: str, what: Callable[..., Any], *arguments: Any) -> Any:
        try:
            told = what(*arguments)
        except Exception as error:  # the boundary: what cannot be told must not hide the failure itself
            chapters.append(f"-- {title}\nnot told: {type(error).__name__}: {error}")
            return None
        chapters.append(f"-- {title}\n{told if isinstance(told, str) else json.dumps(told, default=str)}")
        return told

    tell("lived there before", lambda: "\n".join(getattr(house, "lived", [])[:-1]))
    tell("time", lambda: int(time.time() * 1000))
    tell("gates", house.model.gates)
    tell("requests", lambda: "\n".join(map(str, house.model.requests()[-10:])))
    for log in sorted([*house.folder.glob("*.err"), *house.paths.log_dir.glob("*.log")]):
        tell(log.name, _last_lines, log)
    if house.supervisor is not None and house.supervisor.poll() is None:
        listed = tell("sessions", house.call, "session.list", {}, TIMEOUT_SECONDS)
        for session in listed["sessions"] if listed is not None else []:
            one = {"sessionId": session["id"]}
            tell("messages", house.call, "message.list", one, TIMEOUT_SECONDS)
            tell("screen", _screen, house, one)
            tell("hooks", _last_lines, house.paths.session_dir(session["id"]) / "hooks.log")
        if listed is not None:
            tell("journal", lambda: "\n".join(map(json.dumps, house.events()[-LAST_EVENTS:])))
    return "\n".join(chapters)


def _last_lines(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(lines)[-LAST_CHARACTERS:]


def _screen(house: House, session: dict[str, str]) -> str:
    return str(house.call("session.screen", session, TIMEOUT_SECONDS)["text"])
