"""Keys of requests against the real CLI: counting clients that use one key for several calls get several answers."""

from __future__ import annotations

import pytest

from shared.errors import Conflict
from tests.harness import House


def reused(house: House, op: str, args: dict[str, object]) -> bool:
    with pytest.raises(Conflict) as refused:
        house.call(op, args)
    return refused.value.error_code == "key_reused"


def test_one_key_on_two_sessions_and_for_three_calls_is_five_requests(house: House) -> None:
    untrusted = house.folder / "other"
    untrusted.mkdir()
    texts = ("echo: one", "echo: two")
    sent = [house.send(text, projectPath=str(untrusted), wait=30, key=f"m{text}") for text in texts]
    first, second = (item["session"]["id"] for item in sent)

    def answer(session: str, word: str) -> dict[str, object]:
        choices = house.session(session)["waiting"] or sent[0]["session"]["waiting"]
        choice = next(c["id"] for c in choices["choices"] if c["label"].startswith(word))
        return {"sessionId": session, "choice": choice, "key": "1"}

    yes = answer(first, "Yes")
    assert "duplicate" not in house.call("session.answer", yes)
    assert house.call("session.answer", yes)["duplicate"]
    assert reused(house, "session.answer", {**yes, "choice": "9"})
    assert "duplicate" not in house.call("session.answer", answer(second, "Yes"))
    assert [house.message(item["message"]["id"], wait=30)["reply"] for item in sent] == ["one", "two"]

    create = {"projectPath": str(house.project), "key": "1"}
    made = house.call("session.create", create)["id"]
    assert made not in (first, second)
    assert house.call("session.create", {**create, "wait": 1})["id"] == made
    assert reused(house, "session.create", {**create, "title": "another"})
    third = house.send("echo: three", first, key="1")
    assert (third["message"]["reply"], third["message"]["requestId"], third["duplicate"]) == ("three", "1", False)
    assert house.send("echo: three", first, key="1")["duplicate"]
    assert reused(house, "message.send", {"text": "echo: four", "sessionId": first, "key": "1"})
    forks = [house.call("session.fork", {"sessionId": first, "key": "1"})["id"] for _ in range(2)]
    assert (len(set(forks)), forks[0] in (first, second, made)) == (1, False)
