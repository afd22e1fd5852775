"""The queue of a busy session: its order can be changed, and one message can go before the others, or at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.harness import House, until


def queued(house: House, session: str) -> list[str]:
    page = house.call("message.list", {"sessionId": session, "state": "queued"})["messages"]
    return [message["id"] for message in sorted(page, key=lambda message: message["queuePosition"])]


def busy(house: House, session: str) -> dict[str, str]:
    """The session with a turn that does not end by itself, and three messages behind it."""
    house.send("[[midgate hold]] echo: the one under way", session, wait=0)
    assert house.model.wait_for_gate("hold", 30)
    house.until_state(session, "busy")
    waiting = {name: house.send(f"echo: {name}", session, wait=0)["message"]["id"] for name in ("one", "two", "three")}
    return waiting


def prompts(house: House) -> list[str]:
    return [turn.prompt.removeprefix("echo: ") for turn in house.model.turns() if turn.attempt == 1][1:]


def test_the_order_can_be_changed_until_it_is_sent(house: House, warm: str) -> None:
    session, waiting = warm, busy(house, warm)
    under_way = until(lambda: house.session(session)["currentMessage"], "a message is under way")
    moved = house.call("message.move", {"messageId": waiting["three"], "position": 0})["messages"]
    assert [message["id"] for message in moved] == [waiting[name] for name in ("three", "one", "two")]
    house.call("message.move", {"messageId": waiting["one"], "position": 99})
    assert queued(house, session) == [waiting[name] for name in ("three", "two", "one")]
    first = house.send("echo: first", session, wait=0, front=True)["message"]["id"]
    front = house.send("echo: front", session, wait=0, front=True)["message"]["id"]
    assert queued(house, session)[:2] == [front, first]
    house.call("message.cancel", {"messageId": waiting["two"]})
    for settled in (under_way, waiting["two"]):
        with pytest.raises(Conflict):
            house.call("message.move", {"messageId": settled, "position": 0})
    house.model.release("hold")
    assert house.message(waiting["one"], wait=30)["state"] == "answered"
    assert prompts(house) == ["front", "first", "three", "one"]
    with pytest.raises(Conflict):
        house.call("message.move", {"messageId": waiting["one"], "position": 0})


def test_interrupt_and_send_goes_at_once(house: House, warm: str) -> None:
    session, waiting = warm, busy(house, warm)
    under_way = until(lambda: house.session(session)["currentMessage"], "a message is under way")
    sent = house.send("echo: now", session, wait=30, interrupt=True)
    assert sent["message"]["reply"] == "now"
    assert sent["interrupted"]
    assert house.message(under_way)["state"] == "interrupted"
    assert house.message(waiting["three"], wait=30)["reply"] == "three"
    assert prompts(house)[0] == "now"
    assert house.send("echo: idle", session, interrupt=True)["message"]["reply"] == "idle"


def test_a_turn_whose_hook_is_late_makes_way_too(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    shell = house.folder / "bin" / "sh"  # hooks are run by the `sh` that PATH leads to
    shell.parent.mkdir()
    shell.write_text('#!/bin/sh\ncase "$*" in *UserPromptSubmit) sleep 0.7 ;; esac\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    house.config["claude"]["env"]["PATH"] = f"{shell.parent}:/usr/local/bin:/usr/bin:/bin"
    house.start_supervisor()
    _, session = house.ask("echo: warm")
    under_way = house.send("[[gate late]] echo: long", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("late", 30)
    sent = house.send("echo: now", session, wait=30, interrupt=True)
    assert sent["interrupted"]
    assert sent["message"]["reply"] == "now"
    assert house.message(under_way)["state"] == "interrupted"
