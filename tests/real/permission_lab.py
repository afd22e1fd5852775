"""Asking Claude for what needs a permission, and answering it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.bus.messages import SETTLED
from shared.errors import Conflict
from tests.harness import House, until


def tool(name: str, **given: Any) -> str:
    return f"[[tool {name} {json.dumps(given)}]]"


def ask(house: House, text: str, session: str | None = None) -> tuple[str, str, dict[str, Any]]:
    """Send something that Claude asks about; session, message and what is waited for."""
    sent = house.send(text, session, wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]

    def asked() -> dict[str, Any] | None:
        waiting = house.session(session)["waiting"]
        return waiting if waiting and waiting["id"].startswith("p_") else None

    waiting = until(asked, "Claude asks")
    # Hooks run side by side: that of the request may be heard before that of the prompt.
    until(lambda: house.message(message)["state"] == "submitted", "the prompt is proven")
    return session, message, waiting


def give(house: House, session: str, waiting: dict[str, Any], **answer: Any) -> Any:
    return house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], **answer})


def settle(house: House, message: str) -> dict[str, Any]:
    """The message once its fate is known. (A `wait` ends early while the session still waits for a person.)"""
    return until(lambda: (m := house.message(message, wait=1))["state"] in SETTLED and m, "the message is settled")


def answered(house: House, message: str) -> str:
    settled = settle(house, message)
    assert settled["state"] == "answered", settled
    return settled["reply"]


def assert_too_late(house: House, session: str, waiting: dict[str, Any], **answer: Any) -> None:
    with pytest.raises(Conflict) as late:
        give(house, session, waiting, **answer)
    assert (late.value.status, late.value.error_code) == (409, "already_answered")


def assert_clean(house: House, session: str) -> None:
    """Nobody waits any more: no request, no pipe, no hook process, and the next message works."""
    house.until_state(session, "idle")
    assert house.session(session)["draft"] is False
    spool = house.paths.session_dir(session) / "spool"
    until(lambda: not list(spool.glob("*.answer")), "the pipes are gone")
    assert house.ask("echo: and on", session)[0] == "and on"


def screen(house: House, session: str) -> str:
    return str(house.call("session.screen", {"sessionId": session})["text"])


def press(house: House, session: str, key: str, worked: Callable[[], bool]) -> None:
    """Answer the dialog as a person does: look, press, and press again if it did not take it (a fresh one may not)."""
    until(lambda: "Do you want" in screen(house, session), "the dialog")
    for _ in range(3):
        house.call("session.keys", {"sessionId": session, "keys": [key]})
        with contextlib.suppress(AssertionError):
            until(worked, "the answer", 5)
            return
    raise AssertionError(screen(house, session))
