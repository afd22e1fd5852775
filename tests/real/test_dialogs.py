"""Dialogs before the prompt: nothing is typed into one, its choices are data, and the message that waited is delivered.

A tap between holder and CLI (`tests/tap.py`) writes down every byte that is typed.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.harness import ROOT, VERSIONS, House, claude_binary, until
from tests.record_screens import OLD_HOME


def tapped(house: House, cli: Path, **env: str) -> Path:
    """Have the house start its CLI through a tap; the file with what is typed."""
    log, wrapper = house.folder / "typed", house.folder / "claude"
    log.touch()
    settings = " ".join(f"{name}={value}" for name, value in env.items())
    wrapper.write_text(f'#!/bin/sh\nexec env {settings} {sys.executable} {ROOT}/tests/tap.py {log} {cli} "$@"\n')
    wrapper.chmod(0o755)
    house.config["claude"]["command"] = str(wrapper)
    return log


def until_waiting(house: House, session: str, kind: str) -> dict[str, Any]:
    """What the session waits for, once it is this kind."""

    def there() -> dict[str, Any] | None:
        view = house.session(session)
        return view["waiting"] if view["waiting"] and view["waiting"]["for"] == kind else None

    return until(there, f"{session} waits for {kind}")


def choose(house: House, session: str, waiting: dict[str, Any], choice: str) -> Any:
    return house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": choice})


def labels(waiting: dict[str, Any]) -> list[str]:
    return [choice["label"] for choice in waiting["choices"]]


def assert_answered_once(house: House, message: str, prompt: str, reply: str) -> None:
    settled = house.message(message, wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", reply)
    assert [turn.prompt for turn in house.model.turns()] == [prompt]


def test_first_run_asks_one_thing_after_the_other_and_holds_the_message(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli, onboarded=False)
    typed = tapped(house, cli)
    house.start_supervisor()

    sent = house.send("echo: held", wait=30)
    session, message = sent["session"]["id"], sent["message"]["id"]
    assert (sent["session"]["state"], sent["message"]["state"]) == ("waiting", "queued")

    theme = until_waiting(house, session, "setup")
    assert {"Dark mode", "Light mode"} < set(labels(theme))
    assert typed.read_bytes() == b""
    choose(house, session, theme, "Dark mode")

    notes = until(
        lambda: (w := house.session(session)["waiting"]) and w["id"] != theme["id"] and w, "the security notes"
    )
    assert (notes["for"], labels(notes)) == ("setup", ["Continue"])
    before = typed.read_bytes()
    choose(house, session, notes, notes["choices"][0]["id"])
    assert typed.read_bytes() == before + b"\r"

    trust = until_waiting(house, session, "trust")
    assert str(house.project) in trust["text"]
    assert house.message(message)["state"] == "queued"
    assert house.model.turns() == []
    choose(house, session, trust, "Yes, I trust this folder")
    assert_answered_once(house, message, "echo: held", "held")


def test_trust_dialog_outlives_the_supervisor_and_takes_one_answer(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    untrusted = house.folder / "other"
    untrusted.mkdir()
    typed = tapped(house, cli)
    house.start_supervisor()
    sent = house.send("echo: held", wait=30, projectPath=str(untrusted))
    session, message = sent["session"]["id"], sent["message"]["id"]
    waiting = sent["session"]["waiting"]
    assert (waiting["for"], sorted(labels(waiting))) == ("trust", ["No, exit", "Yes, I trust this folder"])

    house.kill_supervisor()
    house.start_supervisor()
    again = until_waiting(house, session, "trust")
    assert again["id"] == waiting["id"]
    assert (typed.read_bytes(), house.message(message)["state"]) == (b"", "queued")

    with pytest.raises(Conflict) as stranger:
        choose(house, session, {"id": "d_other.1"}, "1")
    assert (stranger.value.status, stranger.value.error_code) == (409, "already_answered")
    with ThreadPoolExecutor(2) as two:
        yes = next(c["id"] for c in waiting["choices"] if c["label"].startswith("Yes"))
        answers = [two.submit(choose, house, session, waiting, yes) for _ in range(2)]
    failures = [answer.exception() for answer in answers if answer.exception()]
    assert [getattr(failure, "error_code", failure) for failure in failures] == ["already_answered"]
    assert_answered_once(house, message, "echo: held", "held")
    with pytest.raises(Conflict) as late:
        choose(house, session, waiting, yes)
    assert late.value.error_code == "already_answered"


def test_saying_no_to_trust_ends_the_session_with_the_reason(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    untrusted = house.folder / "other"
    untrusted.mkdir()
    house.start_supervisor()
    sent = house.send("echo: never", wait=30, projectPath=str(untrusted))
    session = sent["session"]["id"]

    choose(house, session, sent["session"]["waiting"], "No, exit")
    ended = house.until_state(session, "ended")
    assert ended["endReason"] == "exited"
    assert "'No, exit'" in ended["endDetail"]
    message = house.message(sent["message"]["id"])
    assert (message["state"], message["error"]["code"]) == ("failed", "dialog_declined")
    assert house.model.turns() == []

    house.call("session.reopen", {"sessionId": session})
    second = house.send("echo: at last", session, wait=30)
    choose(house, session, second["session"]["waiting"], "Yes, I trust this folder")
    assert_answered_once(house, second["message"]["id"], "echo: at last", "at last")


def test_trust_at_creation_answers_the_trust_dialog_only(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    untrusted, broken = house.folder / "other", house.folder / "broken"
    untrusted.mkdir()
    (broken / ".claude").mkdir(parents=True)
    (broken / ".claude" / "settings.json").write_text(json.dumps({"tui": "nonsense"}))
    house.start_supervisor()

    sent = house.send("echo: trusted", wait=30, projectPath=str(untrusted), trust=True)
    assert (sent["message"]["state"], sent["message"]["reply"]) == ("answered", "trusted")

    sent = house.send("echo: settings", wait=30, projectPath=str(broken), trust=True)
    session, waiting = sent["session"]["id"], sent["session"]["waiting"]
    assert waiting["for"] == "setup"
    assert "Settings Error" in waiting["title"]
    assert "Continue without these settings" in labels(waiting)
    choose(house, session, waiting, "Continue without these settings")
    settled = house.message(sent["message"]["id"], wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", "settings")


def test_trust_at_creation_leaves_the_first_run_dialogs_alone(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli, onboarded=False)
    typed = tapped(house, one_cli)
    house.start_supervisor()
    sent = house.send("echo: held", wait=30, trust=True)
    assert sent["session"]["waiting"]["for"] == "setup"
    assert typed.read_bytes() == b""


def test_the_renderer_question_of_330_holds_the_message(make_house: MakeHouse) -> None:
    cli = claude_binary(VERSIONS[-1])
    house = make_house(cli)
    (house.claude_home / ".claude" / "settings.json").unlink()
    state = house.claude_home / ".claude.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | OLD_HOME))
    typed = tapped(house, cli, TAP_WITHOUT="tui")
    house.start_supervisor()

    sent = house.send("echo: held", wait=30)
    waiting = sent["session"]["waiting"]
    assert (waiting["for"], labels(waiting)) == ("setup", ["Yes, try it", "Not now"])
    assert typed.read_bytes() == b""
    choose(house, sent["session"]["id"], waiting, "Not now")
    assert_answered_once(house, sent["message"]["id"], "echo: held", "held")
