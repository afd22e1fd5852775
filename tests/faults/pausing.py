"""Holding the supervisor at its pause points (`supervisor/failpoints.py`), and what a fault test checks at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness import House, until


class Pauses:
    """The pause points of one house. Make it before the supervisor starts."""

    def __init__(self, house: House) -> None:
        self._folder = house.folder / "pauses"
        self._folder.mkdir(exist_ok=True)
        house.extra_env["PILOTLIGHT_PAUSE_DIR"] = str(self._folder)

    def _file(self, name: str, what: str) -> Path:
        return self._folder / f"{name}.{what}"

    def hold(self, name: str) -> None:
        """From now on, whoever comes to this point waits there."""
        self._file(name, "reached").unlink(missing_ok=True)
        self._file(name, "hold").touch()

    def reached(self, name: str) -> None:
        """Wait until somebody waits there."""
        until(self._file(name, "reached").exists, f"the supervisor is at {name}")

    def release(self, name: str) -> None:
        """Let them go on."""
        self._file(name, "hold").unlink(missing_ok=True)
        self._file(name, "reached").unlink(missing_ok=True)


def kinds(house: House, session: str, *wanted: str) -> list[str]:
    """The kinds of a session's events, in order, as far as they are among `wanted`."""
    return [event["kind"] for event in house.events(session=session) if event["kind"] in wanted]


def first_tries(house: House) -> list[str]:
    """Every prompt that reached the model, in order, without the CLI's own repeats of one request."""
    return [turn.prompt for turn in house.model.turns() if turn.attempt == 1]


def fates(house: House, session: str) -> dict[str, str]:
    """Each message's text and state; fails when a message's journal shows two fates."""
    settled: dict[str, list[str]] = {}
    for event in house.events(session=session):
        if event["kind"] == "message" and event["data"]["state"] in ("answered", "failed", "interrupted", "cancelled"):
            settled.setdefault(event["data"]["message"], []).append(event["data"]["state"])
    listed: list[dict[str, Any]] = house.call("message.list", {"sessionId": session, "limit": 1000})["messages"]
    for message in listed:
        assert settled.get(message["id"], []) in ([], [message["state"]]), (message, settled)
    return {message["text"]: message["state"] for message in listed}
