"""An answer reaches the question that was asked, and no other, however alike they look and whoever asks."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict
from tests.conftest import MakeHouse
from tests.harness import House, until
from tests.onlooker import Viewer


def waits(house: House, session: str, condition: Callable[[list[dict[str, Any]]], Any], what: str) -> Any:
    """All that waits, once it is as wanted."""
    return until(lambda: condition(asked := house.session(session)["allWaiting"]) and asked, what)


def give(house: House, session: str, waiting: dict[str, Any], choice: str) -> Any:
    return house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": choice})


def too_late(house: House, session: str, waiting: dict[str, Any], choice: str) -> None:
    with pytest.raises(Conflict) as late:
        give(house, session, waiting, choice)
    assert late.value.error_code == "already_answered"


def keys(house: House, session: str, *names: str, text: str | None = None) -> None:
    what = {"text": text} if text is not None else {"keys": list(names)}
    house.call("session.keys", {"sessionId": session, **what})


def allow(house: House, session: str, worked: Callable[[], bool]) -> None:
    """Press Enter as a person does, and again if a fresh dialog did not take it."""
    for _ in range(3):
        keys(house, session, "Enter")
        with contextlib.suppress(AssertionError):
            until(worked, "the answer", 3)
            return
    raise AssertionError(screen(house, session))


def told(house: House, session: str, *kinds: str) -> list[tuple[str, Any]]:
    return [(e["kind"], e["data"].get("id")) for e in house.events(session=session) if e["kind"] in kinds]


@pytest.mark.turns
def test_two_dialogs_that_look_alike_have_two_ids_and_one_that_changes_has_one(house: House) -> None:
    """Without hooks, and for whatever no hook explains, there is only the screen to tell one from another."""
    _, session = house.ask("echo: warm")
    spool = house.paths.session_dir(session) / "spool"
    shutil.rmtree(spool)
    spool.touch()  # whatever Claude's hooks say is lost
    command = json.dumps({"command": "echo ran >> same", "description": "Write"})
    message = house.send(f"[[tools 2 Bash {command}]]", session, wait=0)["message"]["id"]
    (first,) = waits(house, session, bool, "the first dialog")
    assert "echo ran >> same" in first["text"]
    keys(house, session, "Enter")
    (second,) = waits(house, session, lambda asked: asked and asked[0]["id"] != first["id"], "the second dialog")
    assert (second["title"], second["text"]) == (first["title"], first["text"])
    too_late(house, session, first, "1")
    house.kill_supervisor()
    house.start_supervisor()
    (again,) = waits(house, session, bool, "it is still asked")
    assert again["id"] == second["id"]
    too_late(house, session, first, "1")
    assert (house.project / "same").read_text() == "ran\n"
    give(house, session, second, "1")
    until(lambda: (house.project / "same").read_text() == "ran\nran\n", "the second has run")
    until(lambda: house.message(message)["state"] == "answered", "the message is answered")
    ids = [first["id"], second["id"]]
    assert [i for kind, i in told(house, session, "waiting")] == ids
    assert told(house, session, "expired", "answered") == [("expired", first["id"]), ("answered", second["id"])]

    house.call("session.command", {"sessionId": session, "command": "/config", "wait": 0})
    (form,) = waits(house, session, lambda asked: asked and asked[0]["for"] == "dialog", "the settings")
    for letter in "tui":
        before = told(house, session, "changed")
        keys(house, session, text=letter)
        until(lambda before=before: told(house, session, "changed") != before, "it says that it has changed")
    assert {i for kind, i in told(house, session, "changed")} == {form["id"]}
    assert [i for kind, i in told(house, session, "waiting")] == [*ids, form["id"]]
    spool.unlink()
    spool.mkdir(mode=0o700)


def agent(name: str) -> str:
    prompt = f"[[tool Bash {json.dumps({'command': f'touch {name}', 'description': 'Make a file'})}]]"
    given = {"description": "work", "prompt": prompt, "subagent_type": "general-purpose", "run_in_background": True}
    return f"[[tool Agent {json.dumps(given)}]]"


@pytest.mark.turns
def test_what_a_subagent_in_the_background_asks_is_one_request_until_somebody_decides(house: House) -> None:
    sent = house.send(agent("one"), wait=0)
    session = sent["session"]["id"]
    (first,) = waits(house, session, bool, "the subagent asks")
    assert (first["agent"], first["tool"], first["input"]["command"]) == ("general-purpose", "Bash", "touch one")
    assert "general-purpose" in first["title"]
    # Behind the end of the turn, and longer than a dialog of the turn itself may stay unseen.
    assert house.message(sent["message"]["id"], wait=30)["state"] == "answered"
    with pytest.raises(AssertionError):
        until(lambda: house.session(session)["allWaiting"] != [first], "it has gone", 6)
    give(house, session, first, "allow")
    until(lambda: (house.project / "one").exists(), "the command has run")
    house.until_state(session, "idle")
    assert told(house, session, "waiting", "expired", "answered") == [
        ("waiting", first["id"]),
        ("answered", first["id"]),
    ]

    # A person who is at the terminal is shown it there; it stays the same request.
    house.send(agent("two"), session, wait=0)
    (second,) = waits(house, session, bool, "the next one asks")
    person = Viewer(house.paths.terminal_socket, session, "write")
    (shown,) = waits(
        house,
        session,
        lambda asked: asked and asked[0]["choices"][:1] and asked[0]["choices"][0]["id"] == "1",
        "its dialog",
    )
    assert (shown["id"], shown["agent"], shown["input"]) == (second["id"], "general-purpose", second["input"])
    give(house, session, shown, "allow")
    until(lambda: (house.project / "two").exists(), "the command has run")
    person.close()
    house.until_state(session, "idle")
    assert told(house, session, "waiting", "expired", "answered")[2:] == [
        ("waiting", second["id"]),
        ("answered", second["id"]),
    ]


def test_of_requests_that_are_made_at_once_the_one_on_the_screen_is_first_and_each_takes_its_own_answer(
    house: House,
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    settings = house.project / ".claude" / "settings.json"
    settings.parent.mkdir()
    says = {"type": "command", "command": "echo 'aws: not logged in'"}  # a status line says what it likes
    settings.write_text(json.dumps({"skipWebFetchPreflight": True, "statusLine": says}))
    session = house.call("session.create", {"projectPath": str(house.project), "wait": 30})["id"]
    until(lambda: "aws: not logged in" in screen(house, session), "the status line")
    page = json.dumps({"url": f"http://127.0.0.1:{silent.getsockname()[1]}/page{{i}}", "prompt": "x"})
    house.send(f"[[tools 3 WebFetch {page}]]", session, wait=0)

    def with_first_shown(number: int) -> list[dict[str, Any]]:
        def there() -> list[dict[str, Any]] | None:
            asked: list[dict[str, Any]] = house.session(session)["allWaiting"]
            _, shown, dialog = screen(house, session).rpartition("\n Fetch")
            return asked if shown and len(asked) == number and asked[0]["text"] in dialog else None

        found: list[dict[str, Any]] = until(there, f"{number} wait, the one on the screen first")
        return found

    first, second, third = with_first_shown(3)
    assert house.session(session)["waiting"] == first
    allow(house, session, lambda: "Fetching" in screen(house, session))  # and it goes on for ever
    left = with_first_shown(2)
    assert {waiting["id"] for waiting in left} == {second["id"], third["id"]}
    too_late(house, session, first, "deny")
    give(house, session, left[1], "deny")  # the one that is not on the screen
    (last,) = with_first_shown(1)
    assert last["id"] == left[0]["id"]
    give(house, session, last, "deny")
    house.until_state(session, "busy")
    assert told(house, session, "expired") == [("expired", first["id"])]
    assert [i for kind, i in told(house, session, "answered")] == [left[1]["id"], last["id"]]
    house.call("session.interrupt", {"sessionId": session})
    house.until_state(session, "idle")
    silent.close()


def screen(house: House, session: str) -> str:
    return str(house.call("session.screen", {"sessionId": session})["text"])


def test_a_question_that_nobody_answers_in_time_is_ended_by_claude(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.config["claude"]["env"] |= {"CLAUDE_AFK_TIMEOUT_MS": "1000", "CLAUDE_AFK_COUNTDOWN_MS": "500"}
    own = house.claude_home / ".claude" / "settings.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), "askUserQuestionTimeout": "60s"}))
    house.start_supervisor()
    options = [{"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}]
    question = {"question": "Which color?", "header": "Color", "options": options, "multiSelect": False}
    sent = house.send(f"[[tool AskUserQuestion {json.dumps({'questions': [question]})}]]", wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]
    assert "No response" in until(lambda: house.message(message, wait=1)["reply"], "Claude goes on")
    over = [event["data"] for event in house.events(session=session) if event["kind"] == "expired"]
    assert [(data["for"], data["cause"]) for data in over] == [("question", "claude")]
