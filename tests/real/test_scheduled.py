"""What Claude has planned survives us, or is told."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime, timedelta

import pytest

from shared.errors import Conflict
from tests.harness import House, until


@pytest.mark.turns
def test_what_claude_has_planned_is_shown_wakes_its_session_and_is_not_lost_in_silence(
    house: House,
) -> None:
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"permissions": {"allow": ["CronCreate"]}}))
    day = datetime.now() + timedelta(days=40)
    given = {"cron": f"30 12 {day.day} {day.month} *", "prompt": "echo: later", "recurring": False}
    session = house.ask(f"[[tool CronCreate {json.dumps(given)}]]")[1]
    house.until_state(session, "idle")
    (task,) = until(lambda: house.session(session)["scheduled"], "it is known")
    assert (task["schedule"], task["prompt"], task["recurring"]) == (given["cron"], "echo: later", False)
    assert task["survivesSleep"]
    assert task["dueAt"] > time.time() * 1000
    asleep = house.call("session.hibernate", {"sessionId": session})
    assert (asleep["state"], [task["id"] for task in asleep["scheduled"]]) == ("hibernated", [task["id"]])

    house.kill_supervisor()
    with sqlite3.connect(house.paths.database) as database:
        (body,) = database.execute("SELECT body FROM sessions WHERE id = ?", (session,)).fetchone()
        record = json.loads(body)
        record["scheduled"][0]["dueAt"] = int(time.time() * 1000) + 90_000
        database.execute("UPDATE sessions SET body = ? WHERE id = ?", (json.dumps(record).encode(), session))
    database.close()
    house.start_supervisor()
    house.until_state(session, "idle")  # nobody has asked for it
    house.ask("echo: awake", session)
    until(lambda: not house.session(session)["currentMessage"], "it is over")
    assert [known["id"] for known in house.session(session)["scheduled"]] == [task["id"]]  # Claude has made it anew

    house.call("session.command", {"sessionId": session, "command": "/compact", "wait": 60})
    house.ask("echo: behind", session)
    house.until_state(session, "idle")
    with pytest.raises(Conflict) as refused:
        house.call("session.hibernate", {"sessionId": session})
    assert (refused.value.error_code, "lost" in refused.value.message) == ("cannot_hibernate", True)
    asleep = house.call("session.hibernate", {"sessionId": session, "loseScheduled": True})
    assert (asleep["state"], asleep["scheduled"]) == ("hibernated", [])
    (lost,) = [event for event in house.events(session=session) if event["kind"] == "scheduled_lost"]
    assert [known["id"] for known in lost["data"]["tasks"]] == [task["id"]]
