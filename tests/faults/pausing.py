"""Holding the supervisor at its pause points (`supervisor/failpoints.py`), and what fault tests check there and at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import process
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


def comes_back(house: House, session: str, dead: process.ProcessId, times: int = 1) -> None:
    """Resumed in another process, with exactly one event for the death and one for the return."""
    until(lambda: house.session(session)["pid"] not in (None, dead.pid), "another process")
    house.until_state(session, "idle", "busy")
    assert kinds(house, session, "crashed", "resumed", "adopted", "ended") == ["crashed", "resumed"] * times


def dies_before_enter(house: House, kill: Callable[[House, str], process.ProcessId], *points: str) -> None:
    """Killed at each of these points on a message's way, the session gives it, and the one behind it, to its new process once."""
    pauses = Pauses(house)
    _, session = house.ask("echo: warm")
    prompts = ["echo: warm"]
    for times, point in enumerate(points, 1):
        pauses.hold(point)
        replies = [f"{word} at {point}" for word in ("one", "two")]
        sent = [house.send(f"echo: {reply}", session, wait=0)["message"]["id"] for reply in replies]
        pauses.reached(point)
        dead = kill(house, session)
        pauses.release(point)
        assert [house.message(message, wait=30)["reply"] for message in sent] == replies
        comes_back(house, session, dead, times)
        prompts += [f"echo: {reply}" for reply in replies]
        assert first_tries(house) == prompts, point
        assert set(fates(house, session).values()) == {"answered"}, point
