"""The API may die in the middle of a turn: no session notices, and a retry with the same key gets the same one reply."""

from __future__ import annotations

import threading
from typing import Any

from tests.faults.pausing import fates, first_tries
from tests.harness import House


def test_api_killed_mid_turn_serves_the_reply_once(house: House) -> None:
    house.start_api()
    status, first = house.http("POST", "/api/chat", {"message": "echo: warm", "projectPath": str(house.project)})
    assert (status, first["reply"]) == (200, "warm")
    session, pid = first["sessionId"], house.session(first["sessionId"])["pid"]
    question = {"message": "[[midgate half]] echo: the whole reply", "sessionId": session}
    key = {"Idempotency-Key": "retry-me"}
    broken: list[Any] = []

    def ask() -> None:
        try:
            broken.append(house.http("POST", "/api/chat", question, headers=key))
        except OSError as error:
            broken.append(error)

    client = threading.Thread(target=ask)
    client.start()
    assert house.model.wait_for_gate("half", 30)
    house.kill_api()
    client.join(30)
    assert isinstance(broken[0], Exception)
    house.start_api()
    assert house.session(session)["state"] == "busy"
    house.model.release("half")
    answers = [house.http("POST", "/api/chat", question, headers=key) for _ in range(2)]
    assert [(status, body["reply"]) for status, body in answers] == [(200, "the whole reply")] * 2
    assert len({body["messageId"] for _, body in answers}) == 1
    receipt = house.http("GET", f"/api/messages/{answers[0][1]['messageId']}")[1]
    assert receipt["state"] == "answered"
    assert house.session(session)["pid"] == pid
    assert first_tries(house) == ["echo: warm", question["message"]]
    assert set(fates(house, session).values()) == {"answered"}
