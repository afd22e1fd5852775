"""What Claude asks while it works: as data, answered once, here or at the terminal, also after the supervisor was gone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.texts import HELP
from shared.errors import Conflict, Forbidden, InvalidRequest
from tests.conftest import MakeHouse
from tests.harness import House, until
from tests.real.permission_lab import answered, ask, assert_clean, assert_too_late, give, press, screen, settle, tool


@pytest.mark.turns
def test_permission_is_data_and_takes_allow_deny_and_always(house: House) -> None:
    made = house.project / "one"
    session, message, waiting = ask(house, tool("Bash", command="touch one", description="Make a file"))
    assert (waiting["for"], waiting["tool"], waiting["text"]) == ("permission", "Bash", "touch one")
    assert waiting["input"] == {"command": "touch one", "description": "Make a file"}
    assert [choice["id"] for choice in waiting["choices"]] == ["allow", "always", "deny"]
    assert waiting["suggestions"]
    with pytest.raises(InvalidRequest):
        give(house, session, waiting, choice="perhaps")
    assert not made.exists()
    give(house, session, waiting, choice="Yes")
    assert answered(house, message).startswith("done")
    assert made.exists()
    assert_too_late(house, session, waiting, choice="allow")

    _, message, waiting = ask(house, tool("Bash", command="touch two"), session)
    give(house, session, waiting, choice="deny", text="Not that one, PLEASE")
    assert "Not that one, PLEASE" in answered(house, message)
    assert not (house.project / "two").exists()

    _, message, waiting = ask(house, tool("Bash", command="touch three"), session)
    give(house, session, waiting, choice="allow", updatedInput={"command": "touch four"})
    answered(house, message)
    assert (house.project / "four").exists()
    assert not (house.project / "three").exists()

    _, message, waiting = ask(house, tool("Bash", command="touch five"), session)
    give(house, session, waiting, choice="always")
    answered(house, message)
    sent = house.send(tool("Bash", command="touch six"), session)
    assert sent["message"]["state"] == "answered"
    assert (house.project / "six").exists()
    assert_clean(house, session)


@pytest.mark.turns
def test_requests_made_at_once_are_answered_one_by_one(house: House, warm: str) -> None:
    session, message, first = ask(house, '[[tools 2 Bash {"command": "touch x{i}", "description": "d"}]]', warm)
    assert first["input"]["command"] == "touch x1"
    give(house, session, first, choice="allow")
    second = until(
        lambda: (w := house.session(session)["waiting"]) and w["id"].startswith("p_") and w["id"] != first["id"] and w,
        "the second request",
    )
    assert second["input"]["command"] == "touch x2"
    assert_too_late(house, session, first, choice="deny")
    give(house, session, second, choice="deny")
    answered(house, message)
    assert ((house.project / "x1").exists(), (house.project / "x2").exists()) == (True, False)
    assert_clean(house, session)


def test_questions_take_a_choice_own_words_several_answers_and_a_refusal(house: House, warm: str) -> None:
    session, message, waiting = ask(house, '[[ask "Which color?" Red Blue]]', warm)
    assert (waiting["for"], waiting["title"]) == ("question", "Which color?")
    assert [choice["label"] for choice in waiting["choices"]] == ["Red", "Blue", "Decline to answer"]
    assert waiting["questions"][0]["options"][1]["description"] == "Choose Blue"
    give(house, session, waiting, choice="Blue")
    assert '"Which color?"="Blue"' in answered(house, message)

    _, message, waiting = ask(house, '[[ask "Which color?" Red Blue]]', session)
    give(house, session, waiting, text="a warm grey")
    assert '"Which color?"="a warm grey"' in answered(house, message)

    _, message, waiting = ask(house, '[[ask multi "Which sizes?" S M L]]', session)
    with pytest.raises(InvalidRequest):
        give(house, session, waiting, answers={"Which colour?": "S"})
    give(house, session, waiting, answers={"Which sizes?": "S, L"})
    assert '"Which sizes?"="S, L"' in answered(house, message)

    _, message, waiting = ask(house, '[[ask "Which color?" Red Blue]]', session)
    give(house, session, waiting, choice="deny", text="NO COLORS")
    assert "NO COLORS" in answered(house, message)
    assert_clean(house, session)


def test_plan_is_shown_sent_back_with_words_and_approved(house: House, warm: str) -> None:
    session, message, waiting = ask(house, "[[plan 1. Look around. 2. Go home.]]", warm)
    assert (waiting["for"], waiting["tool"]) == ("plan", "ExitPlanMode")
    assert "Look around" in waiting["text"]
    give(house, session, waiting, text="Stay a LITTLE longer")
    assert "Stay a LITTLE longer" in answered(house, message)

    _, message, waiting = ask(house, "[[plan 1. Stay. 2. Go home.]]", session)
    give(house, session, waiting, choice="allow")
    assert answered(house, message)
    assert_clean(house, session)


@pytest.mark.turns
def test_first_answer_wins_between_two_clients_and_the_terminal(house: House, warm: str) -> None:
    session, message, waiting = ask(house, tool("Bash", command="touch one; until [ -e go ]; do sleep 0.1; done"), warm)
    press(house, session, "Enter", lambda: (house.project / "one").exists())
    assert_too_late(house, session, waiting, choice="deny")
    house.until_state(session, "busy")  # while the tool runs: it was not its end that told
    (house.project / "go").touch()
    assert answered(house, message).startswith("done")

    _, message, waiting = ask(house, tool("Bash", command="touch two"), session)
    with ThreadPoolExecutor(2) as two:
        both = list(two.map(lambda choice: _outcome(house, session, waiting, choice), ("allow", "deny")))
    assert both.count("already_answered") == 1, both
    answered(house, message)
    assert (house.project / "two").exists() is ("allow" in both)

    # Right behind a key, before the screen shows whether that was an answer.
    _, message, waiting = ask(house, tool("Bash", command="touch between"), session)
    until(lambda: "Do you want" in screen(house, session), "the dialog")
    pressed = house.bus.submit("session.keys", {"sessionId": session, "keys": ["Enter"]})
    outcome = _outcome(house, session, waiting, "deny")
    assert pressed.result(60)
    settle(house, message)
    assert (house.project / "between").exists() is (outcome == "already_answered")

    _, message, waiting = ask(house, tool("Bash", command="touch three"), session)
    press(house, session, "Escape", lambda: "Do you want" not in screen(house, session))
    assert settle(house, message)["state"] == "interrupted"
    assert_too_late(house, session, waiting, choice="allow")
    assert_clean(house, session)


def _outcome(house: House, session: str, waiting: dict[str, Any], choice: str) -> str:
    try:
        return str(give(house, session, waiting, choice=choice)["answer"]["decision"])
    except Conflict as conflict:
        return conflict.error_code


@pytest.mark.turns
def test_request_outlives_the_supervisor_and_is_answered_afterwards(house: House, warm: str) -> None:
    session, message, waiting = ask(house, tool("Bash", command="touch one"), warm)
    pid = house.session(session)["pid"]
    house.kill_supervisor()
    house.start_supervisor()
    again = until(lambda: house.session(session)["waiting"], "it waits again")
    assert again == waiting
    assert house.message(message)["state"] == "submitted"
    give(house, session, again, choice="allow")
    assert answered(house, message).startswith("done")
    assert (house.project / "one").exists()
    assert_too_late(house, session, waiting, choice="allow")

    _, message, waiting = ask(house, '[[ask "Which color?" Red Blue]]', session)
    house.kill_supervisor()
    house.start_supervisor()
    until(lambda: house.session(session)["waiting"], "it waits again")
    give(house, session, waiting, choice="Red")
    assert '"Which color?"="Red"' in answered(house, message)
    assert house.session(session)["pid"] == pid
    assert_clean(house, session)


def what_is_put_in_its_place_is_judged_and_told(house: House, session: str) -> None:
    """What an answer puts in the place of what was asked is judged by the rules, too."""
    began = house.call("ping")["head"]
    _, message, waiting = ask(house, tool("Bash", command="touch asked"), session)
    with pytest.raises(Forbidden) as refused:
        give(house, session, waiting, choice="allow", updatedInput={"command": "touch owned"})
    assert refused.value.error_code == "denied_by_rule"
    given = give(house, session, waiting, choice="allow", updatedInput={"command": "touch other"})["answer"]
    assert (given["decision"], given["input"]) == ("allow", {"command": "touch other"})
    answered(house, message)
    made = {path.name for path in house.project.iterdir()}
    assert ("other" in made, {"asked", "owned"} & made) == (True, set())

    _, message, waiting = ask(house, tool("Bash", command="touch five"), session)
    give(house, session, waiting, choice="always")
    answered(house, message)

    events = house.events(began, session)
    told = [event["data"] for event in events if event["kind"] == "answered"]
    assert [data["by"] for data in told] == ["test", "test"]
    assert told[0]["input"] == {"command": "touch other"}
    assert (told[1]["decision"], told[1]["changed"]) == ("always", waiting["suggestions"])
    ran = next(e["data"] for e in events if e["kind"] == "tool" and e["data"]["phase"] == "finished")
    assert ran["input"]["command"] == "touch other"
    audit = [event["data"] for event in events if event["kind"] == "audit" and event["data"]["op"] == "session.answer"]
    assert [data.get("changes") for data in audit] == ["input", "input", None]


@pytest.mark.turns
def test_rules_answer_what_is_asked_and_what_is_put_in_its_place_and_every_answer_is_recorded(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    rules: list[dict[str, str]] = [
        {"tool": "Bash", "pattern": "touch ok*", "answer": "allow"},
        {"tool": "Bash", "pattern": "touch no*", "answer": "deny", "message": "HANDS off"},
        {"tool": "Bash", "pattern": "touch owned*", "answer": "deny"},
        {"tool": "ExitPlanMode", "answer": "allow"},
    ]
    house.config["permissions"] = {"rules": rules}
    house.start_supervisor()
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]

    def reply(text: str) -> str:
        return answered(house, house.send(text, session, wait=0)["message"]["id"])

    assert reply(tool("Bash", command="touch ok1")).startswith("done")
    assert (house.project / "ok1").exists()
    assert "HANDS off" in reply(tool("Bash", command="touch no1"))
    assert reply("[[plan 1. Look around. 2. Go home.]]")
    events = house.events(session=session)
    told = [event["data"] for event in events if event["kind"] == "answered"]
    assert [(t["decision"], t["by"], t["for"]) for t in told] == [
        ("allow", "policy", "permission"),
        ("deny", "policy", "permission"),
        ("allow", "policy", "plan"),
    ]
    assert told[0]["rule"] == {"tool": "Bash", "pattern": "touch ok*"}
    called = [event["data"]["id"] for event in events if event["kind"] == "waiting"]
    assert not {t["id"] for t in told} & set(called)  # nobody was called for it

    # What no rule means is a person's: a second command behind the first. It waits over a restart that brings a rule.
    command = "touch ok2; touch bad"
    session, message, waiting = ask(house, tool("Bash", command=command), session)
    assert waiting["input"]["command"] == command
    rules.append({"tool": "Bash", "pattern": command, "answer": "allow"})
    house.kill_supervisor()
    house.start_supervisor()
    assert answered(house, message).startswith("done")
    assert_too_late(house, session, waiting, choice="deny")
    what_is_put_in_its_place_is_judged_and_told(house, session)
    assert_clean(house, session)


@pytest.mark.turns
def test_request_does_not_outlive_its_process(house: House) -> None:
    (tried,) = re.findall(r"`(.*)` runs a tool, and asks you for permission first", HELP)  # what the demo says to try
    session, message, waiting = ask(house, tried)
    house.call("session.kill", {"sessionId": session})
    assert house.message(message)["state"] in ("interrupted", "cancelled")
    assert_too_late(house, session, waiting, choice="allow")
    until(lambda: not list((house.paths.session_dir(session) / "spool").glob("*")), "nothing of it is left")
    assert not list(house.project.iterdir())
