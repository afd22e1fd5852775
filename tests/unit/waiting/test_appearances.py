"""Whose request a dialog is, and which appearance of which dialog is on the screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from supervisor.claude.screen import Menu, ScreenReading
from supervisor.claude.status_file import Status
from supervisor.store.options import Remembered
from supervisor.waiting import appearances
from supervisor.waiting.appearances import appearance
from supervisor.waiting.shown_requests import UNDECIDED_SECONDS, overtaken, shown_request, take_screen
from supervisor.waiting.waiting import Permission
from tests.unit.claude.test_screen import RELEASES, seen, shown


def request(tool: str = "Bash", agent: str | None = None, **given: Any) -> Permission:
    payload = {"tool_name": tool, "tool_input": given, "agent_type": agent, "agent_id": agent and f"{agent}-1"}
    return Permission.from_hook(Path("nowhere"), payload)


def dialog(*rows: str) -> Menu:
    return replace(shown("2.1.330", "permission-bash"), text="\n".join(rows))


@pytest.mark.parametrize("release", RELEASES)
def test_a_recorded_dialog_is_of_the_request_whose_words_it_shows(release: str) -> None:
    bash, other = request(command="touch made.txt", description="Make a file"), request(command="touch made")
    write = request("Write", file_path="/somewhere/else/w.txt", content="hello\n")
    question = request("AskUserQuestion", questions=[{"question": "Which color?"}])
    plan = request("ExitPlanMode", plan="1. Look around. 2. Go home.")
    pending = [other, write, plan, question, bash]
    wanted = {"permission-bash": bash, "permission-write": write, "question": question, "plan": plan}
    assert {scene: shown_request(shown(release, scene), pending) for scene in wanted} == wanted
    assert shown_request(shown(release, "permission-bash"), [other, write, request(command="touch")]) is None
    assert shown_request(shown(release, "trust"), pending) is None
    alike = request(command="Do you trust the files in this folder?")
    assert shown_request(shown("2.1.330", "held-message"), [alike]) is None, "what a peer sends may have any words"


def test_a_command_that_begins_like_another_or_is_wrapped_or_cut_off_is_told_from_it() -> None:
    one, ten = request(command="touch x1"), request(command="touch x10")
    assert shown_request(dialog("Bash command", "touch x10", "Do you want to proceed?"), [one, ten]) is ten
    assert shown_request(dialog("Bash command", "touch x1", "Do you want to proceed?"), [ten, one]) is one
    fetched = dialog("Fetch", 'url: "http://a/10", prompt: "x"')
    assert shown_request(fetched, [request("WebFetch", url="http://a/1", prompt="x y")]) is None
    ten = request("WebFetch", url="http://a/10", prompt="x")
    assert shown_request(fetched, [ten]) is ten
    long = request(command="echo " + "word " * 40 + "end")
    wrapped = dialog("Bash command", "echo " + "word " * 25, "word " * 15 + "end", "Do you want to proceed?")
    assert shown_request(wrapped, [one, long]) is long
    assert shown_request(dialog("Bash command", ("echo " + "word " * 20)[:90], "…"), [one, long]) is long


def test_the_same_command_of_a_subagent_is_told_by_its_name() -> None:
    own, agents = request(command="touch x"), request(command="touch x", agent="explorer")
    assert shown_request(dialog("Bash command · from the explorer agent", "touch x"), [own, agents]) is agents


def test_without_a_counter_a_key_decides_the_request_that_is_on_the_screen_and_none_behind_it() -> None:
    first, second, third = pending = [request("WebFetch", url=f"http://a/{number}") for number in (1, 2, 3)]

    def look(shown: Permission, keyed_at: float, now: float) -> list[Permission]:
        decided = take_screen(shown, dialog("Fetch", f"url: {shown.input['url']}"), pending, keyed_at, now)
        pending[:] = [known for known in pending if known not in decided]
        return decided

    assert look(first, 0.0, 1.0) == []
    assert look(third, 0.0, 2.0) == [], "a late one takes the screen (2.1.281)"
    assert look(third, 3.0, 3.1) == [], "the key was for it, and it is not drawn yet what the key did"
    assert look(first, 3.0, 3.2) == [third]
    assert look(second, 3.0, 4.0) == [], "nobody has pressed a key since"
    assert look(first, 5.0, 5.1) == [second]
    assert pending == [first]
    pending.append(third)
    third.shown_as, third.behind = None, False
    assert look(first, 6.0, 6.1 + UNDECIDED_SECONDS) == []
    assert look(third, 6.0, 6.2 + UNDECIDED_SECONDS) == [], "the key has only moved the pointer: its dialog has stayed"


def test_the_counter_tells_what_was_decided_from_what_was_only_put_behind() -> None:
    first, second = request("WebFetch", url="http://a/1"), request("WebFetch", url="http://a/2")
    first.shown_as = (0, 0)  # it was alone
    first.shown_at = 7.0
    assert not overtaken(first, dialog("Fetch     1 of 2", "url: http://a/2"), 8.0)
    first.shown_as = (1, 2)
    assert not overtaken(first, dialog("Fetch     1 of 3", "url: http://a/2"), 8.0)
    assert overtaken(first, dialog("Fetch     2 of 2", "url: http://a/2"), 0.0)
    assert overtaken(first, dialog("Fetch", "url: http://a/2"), 8.0)  # 2.1.197 does not count
    assert not overtaken(first, dialog("Fetch", "url: http://a/2"), 6.0), (
        "on 2.1.281 a late one takes the screen, uncounted"
    )
    first.behind = True
    assert not overtaken(first, dialog("Fetch", "url: http://a/3"), 8.0), (
        "the key was for the one that had taken the screen"
    )
    assert not overtaken(second, dialog("Fetch     2 of 2", "url: http://a/1"), 8.0)
    twins = [request("WebFetch", url="http://a/1"), request("WebFetch", url="http://a/1")]
    twins[1].shown_as = (1, 2)
    assert shown_request(dialog("Fetch     1 of 2", "url: http://a/1"), twins) is twins[1]
    assert shown_request(dialog("Fetch     2 of 2", "url: http://a/1"), twins) is twins[0]


class Looked(SimpleNamespace):
    """As much of a session as names a dialog."""

    def __init__(self) -> None:
        record = SimpleNamespace(generation=1, asked=None, remembered=Remembered(), turn_prompt=None)
        super().__init__(record=record, shown=None, status=None)

    def look(self, screen_reading: ScreenReading, since: int | None = None, size: tuple[int, int] = (120, 40)) -> str:
        waits = (
            "permission prompt"
            if screen_reading.menu is not None and screen_reading.menu.subject == "permission"
            else "dialog open"
        )
        self.status = Status("waiting", waits, None, since) if since is not None else None
        self.shown = appearance(self.shown, self.record, self.status, screen_reading, size)
        return self.shown.id


BASH, SECOND = seen("2.1.330", "permission-bash"), seen("2.1.330", "permission-bash-second")


def test_an_appearance_has_one_id_while_it_is_up_and_the_next_one_another() -> None:
    session = Looked()
    first = session.look(BASH, 1000)
    assert session.look(SECOND, 1000) == first  # the pointer has moved
    assert session.look(BASH) == first  # the status file was not read
    second = session.look(BASH, 2000)
    assert second != first  # without having been seen to go
    session.shown = None  # the prompt box was there
    assert session.look(BASH, 2000) not in (first, second)
    assert session.look(seen("2.1.330", "permission-write"), 2000) not in (first, second)


def test_one_that_follows_another_at_once_stays_the_same_though_the_status_file_was_behind() -> None:
    """Claude's next question is on the screen, and the file still says since when it waited for the answer to the one before."""
    session, held = Looked(), seen("2.1.330", "held-message")
    before = session.look(BASH, 1000)
    session.shown = None  # it was answered
    appearances.forget(session.record)
    first = session.look(held, 1000)
    assert first != before
    assert session.look(held, 1000) == first
    assert session.look(held, 2000) == first
    assert session.look(held, 3000) != first, "one that looks alike, and was drawn right behind it"
    session.record.asked = session.shown.id
    third = session.look(BASH, 3000)
    assert session.look(BASH, 3000) == third
    assert session.look(BASH, 4000) == third, "without having been seen to go"


def test_what_the_cli_offers_by_itself_stays_the_same_though_the_status_file_was_behind() -> None:
    session, settings = Looked(), seen("2.1.330", "command-config")
    session.record.turn_prompt = "the last turn's, whose end was not read yet"
    first = session.look(settings)
    session.record.turn_prompt = None
    assert session.look(changed(settings), 1000) == first  # a letter was typed into its filter


def test_what_is_up_in_a_turn_is_the_same_only_while_its_words_are() -> None:
    session, settings = Looked(), seen("2.1.330", "command-config")
    session.record.turn_prompt = "Claude may wait for it"
    first = session.look(settings, 1000)
    assert session.look(settings, 1000) == first
    assert session.look(changed(settings), 1000) != first


HALF = ScreenReading("other", text="Claude Code\n\n  Half of what is to come")


def test_what_is_drawn_by_and_by_is_one_and_what_follows_it_another() -> None:
    session, settings = Looked(), seen("2.1.330", "command-config")
    first = session.look(HALF, 1000)
    assert session.look(settings, 1000) == first, "there was nothing to choose yet"
    assert session.look(HALF, 1000) == first, "it is drawn anew"
    assert session.look(changed(settings), 1000) == first
    assert session.look(HALF, 1000) == first
    assert session.look(seen("2.1.330", "command-model"), 1000) != first, "another one was opened out of it"


def test_a_screen_that_nobody_knows_is_not_what_was_asked_before() -> None:
    session = Looked()
    asked = session.look(BASH, 1000)
    strange = session.look(HALF, 1000)
    assert strange != asked, "what decides something for Claude is the same only while its words are"
    assert session.look(BASH, 2000) != asked
    settings = session.look(seen("2.1.330", "command-config"), 3000)
    assert session.look(HALF) != settings, "Claude does not say that it still waits for that"


def changed(settings: ScreenReading) -> ScreenReading:
    assert settings.title.strip()
    return replace(settings, menu=None, kind="notice", text=settings.title + "\n t \n another row")


def test_the_next_supervisor_knows_the_appearance_unless_it_was_answered_in_between() -> None:
    session = Looked()
    session.record.asked = session.look(BASH, 1000)
    look = (session.shown.screen_reading.digest, session.shown.stamp)
    session.record.remembered = msgspec.structs.replace(session.record.remembered, asked_look=look)
    after = Looked()
    after.record = session.record
    assert after.look(BASH, 1000) == session.record.asked
    for since, generation in ((2000, 1), (1000, 2)):
        another = Looked()
        another.record = SimpleNamespace(**{**vars(session.record), "generation": generation})
        assert another.look(BASH, since) != session.record.asked
    answered = Looked()
    answered.record = session.record
    answered.shown = None
    appearances.forget(answered.record)
    assert answered.look(BASH, 1000) != session.record.asked
