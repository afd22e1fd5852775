"""Dialogs before the prompt: nothing is typed into one, its choices are data, and the message that waited is delivered.

A tap between holder and CLI (`tests/tap.py`) writes down every byte that is typed.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict, InvalidRequest
from tests.conftest import MakeHouse
from tests.harness import OTHER_CLAUDE, ROOT, VERSIONS, House, claude_binary, until
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


@pytest.mark.turns
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


@pytest.mark.turns
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


@pytest.mark.turns
def test_saying_no_to_trust_ends_the_session_with_the_reason(house: House) -> None:
    untrusted = house.folder / "refused at first"
    untrusted.mkdir()
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


@pytest.mark.turns
def test_trust_at_creation_answers_the_trust_dialog_only_and_nothing_is_typed_into_the_next(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    untrusted, created, broken = house.folder / "other", house.folder / "created", house.folder / "broken"
    untrusted.mkdir()
    created.mkdir()
    (broken / ".claude").mkdir(parents=True)
    (broken / ".claude" / "settings.json").write_text(json.dumps({"tui": "nonsense"}))
    typed, rung = tapped(house, cli), house.folder / "rung"
    house.config["notify"] = {"command": ["/bin/sh", "-c", f"cat >> '{rung}'; echo >> '{rung}'"]}
    house.start_supervisor()

    made = house.call("session.create", {"projectPath": str(created), "trust": True, "wait": 30})
    assert (made["state"], made["waiting"]) == ("idle", None)
    assert house.send("echo: created", made["id"], wait=30)["message"]["reply"] == "created"
    assert not {e["kind"] for e in house.events(session=made["id"])} & {"waiting", "attention", "answered"}

    sent = house.send("echo: trusted", wait=30, projectPath=str(untrusted), trust=True)
    assert (sent["message"]["state"], sent["message"]["reply"]) == ("answered", "trusted")
    assert not [event for event in house.events(session=sent["session"]["id"]) if event["kind"] == "waiting"]

    sent = house.send("echo: settings", wait=30, projectPath=str(broken), trust=True)
    session, waiting = sent["session"]["id"], sent["session"]["waiting"]
    assert waiting["for"] == "setup"
    until(lambda: rung.exists() and rung.read_text().endswith("\n"), "what does wait rings")
    assert [json.loads(line)["session"] for line in rung.read_text().splitlines()] == [session]  # and nothing before
    assert "Settings Error" in waiting["title"]
    assert "Continue without these settings" in labels(waiting)
    behind = nothing_is_typed(house, session, typed, "echo: behind the error")
    now = until_waiting(house, session, "setup")
    assert now["id"] == waiting["id"]  # drawn anew it is still the same question
    choose(house, session, waiting, "Continue without these settings")
    assert house.message(sent["message"]["id"], wait=30)["reply"] == "settings"
    assert house.message(behind, wait=30)["reply"] == "behind the error"


@pytest.mark.turns
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
    if OTHER_CLAUDE and not waiting:  # not every release has the question
        assert_answered_once(house, sent["message"]["id"], "echo: held", "held")
        return
    assert (waiting["for"], labels(waiting)) == ("setup", ["Yes, try it", "Not now"])
    assert typed.read_bytes() == b""
    choose(house, sent["session"]["id"], waiting, "Not now")
    assert_answered_once(house, sent["message"]["id"], "echo: held", "held")


@pytest.mark.turns
def test_dialog_with_an_input_line_takes_text_and_one_with_choices_their_names(house: House) -> None:
    other = house.folder / "another place"
    other.mkdir()
    _, session = house.ask("echo: hi")
    house.call("session.command", {"sessionId": session, "command": "/add-dir", "wait": 0})
    waiting = until_waiting(house, session, "dialog")

    def answer(waiting: dict[str, Any], text: str) -> Any:
        return house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "text": text})

    for unfit in ("two\nlines", "\x1b[A", "x" * 5000):
        with pytest.raises(InvalidRequest) as refused:
            answer(waiting, unfit)
        assert refused.value.error_code == "invalid_text"
    assert answer(waiting, str(other))["answer"]["decision"] == "text"
    with pytest.raises(Conflict):
        answer(waiting, str(other))

    def taken() -> dict[str, Any] | None:
        view = house.session(session)
        sure = view["waiting"] and any(label.startswith("Yes") for label in labels(view["waiting"]))
        return view if view["state"] == "idle" or sure else None

    asks_back = until(taken, "it has taken it")["waiting"]
    if asks_back:  # 2.1.330 wants to be sure
        answer(asks_back, next(label for label in labels(asks_back) if label.startswith("Yes")))
    house.until_state(session, "idle")
    with_screen(house, session, lambda: "another place" in screen(house, session), "it says what was added")

    house.call("session.command", {"sessionId": session, "command": "/export", "wait": 0})
    export = until_waiting(house, session, "dialog")
    with pytest.raises(InvalidRequest, match="Cancel"):
        answer(export, "something else")
    answer(export, "Cancel")
    house.until_state(session, "idle")
    told = [e for e in house.events(session=session) if e["kind"] in ("answered", "expired")]
    assert [e["kind"] for e in told if e["data"]["id"] == waiting["id"]] == ["answered"]
    assert "another place" not in json.dumps(house.events(session=session)), "what is typed may be a secret"


MENUS: list[tuple[str, bytes, bytes]] = [
    # what is on the screen, the keys that bring it up, the keys that put it away
    ("slash list", b"/", b"\x1b\x7f"),
    ("draft", b"my own words", b"\x03"),
    ("rewind", b"\x1b\x1b", b"\x1b"),
    ("/model", b"/model\r", b"\x1b"),
    ("/config", b"/config\r", b"\x1b"),
    ("/resume", b"/resume\r", b"\x1b"),
    ("/mcp", b"/mcp\r", b"\x1b"),
    ("/theme", b"/theme\r", b"\x1b"),
]
KEYS = {b"\x1b": "Escape", b"\x7f": "Backspace", b"\r": "Enter", b"\x03": "C-c"}


def by_hand(house: House, session: str, typed: Path, pressed: bytes) -> None:
    """Type as a person at the terminal does, one key after the other has been drawn."""
    for part in re.findall(rb"[^\x1b\x7f\r\x03]+|\x1b+|.", pressed, re.DOTALL):
        before = screen(house, session)
        name = KEYS.get(part[:1])
        size = typed.stat().st_size + len(part)
        what = {"keys": [name] * len(part)} if name else {"text": part.decode()}
        house.call("session.keys", {"sessionId": session, **what})
        until(partial(_has_grown, typed, size), f"{part!r} is typed")
        with contextlib.suppress(AssertionError):
            until(partial(_has_changed, house, session, before), "it is drawn", 1)


def put_away(house: House, session: str, typed: Path, closing: bytes) -> bytes:
    """Close what is up, once more when it has only left its search field; what was pressed."""
    pressed = b""
    for _ in range(3):
        by_hand(house, session, typed, closing)
        pressed += closing
        with contextlib.suppress(AssertionError):
            until(
                lambda: house.session(session)["state"] != "waiting" and not house.session(session)["draft"],
                "closed",
                3,
            )
            return pressed
    raise AssertionError(screen(house, session))


def with_screen(house: House, session: str, condition: Callable[[], Any], what: str) -> None:
    try:
        until(condition, what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{house.session(session)}\n{screen(house, session)}") from None


def _has_grown(file: Path, size: int) -> bool:
    return file.stat().st_size >= size


def _has_changed(house: House, session: str, before: str) -> bool:
    return screen(house, session) != before


def screen(house: House, session: str) -> str:
    return str(house.call("session.screen", {"sessionId": session})["text"])


def is_free(house: House, session: str) -> bool:
    view = house.session(session)
    return bool(view["state"] == "idle" and not view["draft"] and not view["waiting"])


@pytest.mark.turns
def test_a_message_waits_for_every_dialog_and_for_what_claude_asks_and_no_byte_of_it_is_typed_into_one(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    typed = tapped(house, cli)
    server = {"mcpServers": {"quiet": {"command": "/bin/cat"}}}  # without one there is no /mcp menu
    house.config["claude"]["args"] = ["--mcp-config", json.dumps(server)]
    house.start_supervisor()
    _, session = house.ask("echo: warm")
    for number, (name, opening, closing) in enumerate(MENUS):
        until(partial(is_free, house, session), f"the prompt before {name}")
        start = typed.stat().st_size
        by_hand(house, session, typed, opening)
        with_screen(house, session, lambda: not is_free(house, session), f"{name} is up")
        if name.startswith("/"):
            with_screen(house, session, lambda: house.session(session)["waiting"], f"{name} is waited for")
        message = house.send(f"echo: behind {number}", session, wait=0)["message"]["id"]
        # Whatever moves on the screen wakes the sender: a message that would be typed, is typed now.
        before = screen(house, session)
        house.call("session.resize", {"sessionId": session, "cols": 100 + number, "rows": 40})
        until(partial(_has_changed, house, session, before), "it is drawn anew")
        assert house.message(message)["state"] == "queued", name
        pressed = put_away(house, session, typed, closing)
        settled = house.message(message, wait=30)
        assert (settled["state"], settled["reply"]) == ("answered", f"behind {number}"), (name, screen(house, session))
        log = typed.read_bytes()[start:]
        assert log.startswith(opening + pressed + b"\x07"), (name, log)
    assert [turn.prompt for turn in house.model.turns() if turn.attempt == 1] == [
        "echo: warm", *(f"echo: behind {number}" for number in range(len(MENUS))),
    ]  # fmt: skip
    what_claude_asks(house, session, typed)


def nothing_is_typed(house: House, session: str, typed: Path, text: str) -> str:
    """Send while a dialog is up, wake whoever would type, and see that no byte reaches the terminal; the message."""
    start = typed.stat().st_size
    message = str(house.send(text, session, wait=0)["message"]["id"])
    before, view = screen(house, session), house.call("session.screen", {"sessionId": session})
    house.call("session.resize", {"sessionId": session, "cols": int(view["cols"]) - 1, "rows": int(view["rows"])})
    until(partial(_has_changed, house, session, before), "it is drawn anew")
    until(lambda: house.session(session)["waiting"], "it is still waited for")
    assert house.message(message)["state"] == "queued"
    assert typed.read_bytes()[start:] == b""
    return message


def what_claude_asks(house: House, session: str, typed: Path) -> None:
    """No byte of a message is typed into that either."""
    asked = {"permission": '[[tool Bash {"command": "touch one"}]]', "question": '[[ask "Which color?" Red Blue]]',
             "plan": "[[plan 1. Look around. 2. Go home.]]"}  # fmt: skip
    for kind, prompt in asked.items():
        message = house.send(prompt, session, wait=0)["message"]["id"]
        until(lambda: (house.session(session)["waiting"] or {}).get("tool"), "its hook has told of it")
        waiting = until_waiting(house, session, kind)
        until(lambda: "❯ 1" in screen(house, session), "its dialog is on the screen")
        behind = nothing_is_typed(house, session, typed, f"echo: behind the {kind}")
        house.call(
            "session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": waiting["choices"][0]["id"]}
        )
        assert house.message(message, wait=30)["state"] == "answered", kind
        assert house.message(behind, wait=30)["reply"] == f"behind the {kind}"
