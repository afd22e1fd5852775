"""Claude's service refuses: the message that met it fails, and the queue waits until it is worth trying again."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from shared.errors import Conflict
from supervisor.waiting.backoff import CAUSES
from tests.harness import House, until


@pytest.fixture
def refusing(house: House) -> House:
    """A house in whose project the CLI gives up soon."""
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"env": {"CLAUDE_CODE_MAX_RETRIES": "0"}}))
    return house


def held(house: House, session: str) -> dict[str, Any]:
    """What it waits for; a supervisor that has just come back has to look first."""
    waiting: dict[str, Any] = until(lambda: house.session(session)["waiting"], "the session waits")
    return waiting


def refuse_one(house: House, status: int, session: str | None, number: int) -> str:
    """Have a message refused and its pause, the session's `number`th, ended; the session."""
    sent = house.send(f"[[status {status}]] echo: no", session, wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]
    until(lambda: house.message(message, wait=1)["state"] == "failed", "the message has failed")
    until(lambda: [e["kind"] for e in house.events(session=session)].count("waiting") == number, "the pause has begun")
    with suppress(Conflict):  # or it is over
        house.call("session.answer", {"sessionId": session, "choice": "retry"})
    return session


def refuse(house: House, status: int, session: str | None = None) -> tuple[str, dict[str, Any], list[str]]:
    """Have a message refused with two behind it: the session, the first one's error, and the others."""
    sent = [house.send(f"[[status {status}]] echo: no", session, wait=0)]
    session = sent[0]["session"]["id"]
    sent += [house.send(f"echo: {word}", session, wait=0) for word in ("probe", "rest")]
    first, *behind = (one["message"]["id"] for one in sent)
    settled = until(lambda: (m := house.message(first, wait=1))["state"] == "failed" and m, "the message has failed")
    return session, settled["error"], behind


def test_overload_holds_the_queue_until_a_probe_has_got_through(refusing: House) -> None:
    # Each refusal in a row makes the pause longer: that of the third is long enough to be looked at.
    session = refuse_one(refusing, 529, None, 1)
    refuse_one(refusing, 529, session, 2)
    session, error, behind = refuse(refusing, 529, session)
    assert error["code"] in ("overloaded", "server_error")
    assert error["retryable"]
    waiting = held(refusing, session)
    assert (waiting["for"], [choice["id"] for choice in waiting["choices"]]) == ("rate_limit", ["retry"])
    pause = 4 * CAUSES[error["code"]].first_pause * 1000
    assert pause / 2 < waiting["until"] - waiting["since"] <= pause
    assert [refusing.message(message)["state"] for message in behind] == ["queued", "queued"]
    refusing.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "retry"})
    assert [refusing.message(message, wait=30)["reply"] for message in behind] == ["probe", "rest"]
    assert sum("[[status 529]]" in turn.prompt for turn in refusing.model.turns()) == 3, "a refused message stays so"


def test_refused_login_is_waited_for_also_by_the_next_supervisor(refusing: House) -> None:
    session, error, behind = refuse(refusing, 401)  # as for a login that has expired
    assert error["code"] == "authentication_failed"
    waiting = held(refusing, session)
    assert (waiting["for"], [choice["id"] for choice in waiting["choices"]]) == ("login", ["retry"])
    refusing.kill_supervisor()
    refusing.start_supervisor()
    assert held(refusing, session)["id"] == waiting["id"]
    checks = {check["name"]: check for check in refusing.call("health")["checks"]}
    assert (checks["login"]["status"], session in checks["login"]["detail"]) == ("fail", True)
    assert refusing.session(session)["health"] == "login_refused"
    assert [refusing.message(message)["state"] for message in behind] == ["queued", "queued"]
    before = refusing.session(session)["pid"]
    refusing.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "retry"})
    assert [refusing.message(message, wait=30)["reply"] for message in behind] == ["probe", "rest"]
    after = refusing.session(session)
    assert after["pid"] != before, "a new process reads the login anew"
    assert after["health"] == "ok"
