"""`pilotlight chat` with a person who types lines and a bus double."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.__main__ import run
from shared.bus.messages import Waiting
from tests.unit.cli.test_double import FIRST, SECOND, TRUST, FakeBus, app_of, bus_with, message, session


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch):
    """Make `input` return these lines, raise these exceptions, then end."""

    def types(*lines: str | BaseException) -> None:
        script: Iterator[str | BaseException] = iter(lines)

        def read(_prompt: str = "") -> str:
            line = next(script, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr("builtins.input", read)

    return types


def test_every_line_is_a_message_and_every_reply_is_printed(tmp_path, capsys, person):
    person("hello", "", "/exit")
    bus = bus_with()

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert [args["text"] for args in bus.asked("message.send")] == ["hello", "/exit"]
    assert capsys.readouterr().out.count("hi\n") == 2


def test_without_an_id_the_latest_session_of_the_folder_goes_on(tmp_path, capsys, person):
    person()
    bus = bus_with(
        session(FIRST, project_path=str(tmp_path), last_activity=1),
        session(SECOND, project_path=str(tmp_path), last_activity=2),
    )
    assert run(["chat", "--project", str(tmp_path)], app_of(tmp_path, bus)) == 0
    assert "Session aaaa2222" in capsys.readouterr().out
    assert bus.asked("session.create") == []


def test_without_a_session_one_is_opened_and_trust_is_never_assumed(tmp_path, capsys, person):
    person()
    bus = FakeBus(session__list={"sessions": []}, session__create=session(), session__get=session())
    assert run(["chat", "--project", str(tmp_path)], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.create")[0]["trust"] is False


def test_ctrl_c_at_the_prompt_does_nothing_and_ctrl_d_leaves_the_session_alone(tmp_path, capsys, person):
    person(KeyboardInterrupt())
    bus = bus_with()
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert {op for op, _ in bus.calls} == {"session.list", "session.get"}


def test_ctrl_c_during_a_turn_interrupts_it(tmp_path, capsys, person):
    person("hello")
    steps = iter([KeyboardInterrupt(), message("interrupted")])

    def get(_args):
        step = next(steps)
        if isinstance(step, BaseException):
            raise step
        return step

    bus = bus_with(message__get=get, session__interrupt={"session": session(), "rung": "escape"})
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert len(bus.asked("session.interrupt")) == 1
    assert "(interrupted)" in capsys.readouterr().out


def test_a_dialog_is_answered_in_place_before_the_message_goes_on(tmp_path, capsys, person):
    person("what?", "2", "hello")
    views = [session(state="waiting", waiting=TRUST)]
    bus = bus_with(session__get=lambda _: views[-1])
    bus.answers["session.answer"] = lambda _: views.append(session()) or {"session": session(), "answer": {}}

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert [args["choice"] for args in bus.asked("session.answer")] == ["yes"]
    assert "There is no choice 'what?'" in capsys.readouterr().out
    assert [args["text"] for args in bus.asked("message.send")] == ["hello"]


def test_several_questions_are_asked_one_by_one(tmp_path, capsys, person):
    person("2", "1, 2", "my own")
    options = [{"label": "Red"}, {"label": "Blue"}]
    asked = Waiting(
        id="w2",
        kind="question",
        title="Questions",
        text="",
        questions=[{"question": name, "options": options} for name in ("One?", "Two?", "Three?")],
    )
    views = [session(state="waiting", waiting=asked)]
    bus = bus_with(session__get=lambda _: views[-1])
    bus.answers["session.answer"] = lambda _: views.append(session()) or {"session": session(), "answer": {}}

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert bus.asked("session.answer")[0]["answers"] == {"One?": "Blue", "Two?": "Red, Blue", "Three?": "my own"}
