"""`pilotlight chat` with a scripted person and a bus double."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator

import pytest

from cli.__main__ import run
from cli.chat.display import Display, Pieces
from cli.chat.person import Superseded
from cli.chat.questions import asks
from shared.bus import events, message_events
from shared.bus.messages import Choice, CommandResult, Event, Field, Waiting
from shared.claude_names import DESCRIPTION, SUBJECTS
from tests.unit.cli.test_double import FIRST, SECOND, TRUST, FakeBus, app_of, bus_with, message, question, session


class Scripted:
    """Types these lines, raises these exceptions, then leaves; presses Ctrl-C in the turns that are named."""

    def __init__(self, *lines: str | BaseException, presses: int = 0) -> None:
        self._lines: Iterator[str | BaseException] = iter(lines)
        self.presses = presses

    def text(self) -> str:
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    def answer(self, prompt: str, over: Callable[[], bool]) -> str:
        return self.text()

    def present(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def away(self) -> Iterator[Callable[[], bool]]:
        yield self._pressed

    def _pressed(self) -> bool:
        self.presses -= 1
        return self.presses >= 0


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch):
    """Have somebody type."""

    def types(*lines: str | BaseException, presses: int = 0) -> None:
        scripted = Scripted(*lines, presses=presses)
        monkeypatch.setattr("cli.chat.person.whoever_types", lambda *_: scripted)

    return types


def waits(asked: Waiting) -> FakeBus:
    """A session that waits until it is answered."""
    views = [session(state="waiting", waiting=asked)]
    bus = bus_with(session__get=lambda _: views[-1])
    bus.answers["session.answer"] = lambda _: views.append(session()) or {"session": session(), "answer": {}}
    return bus


def test_what_is_typed_is_a_message_however_many_lines_and_every_reply_is_printed(tmp_path, capsys, person):
    person("hello", "", "one\ntwo\n\nthree", "/etc/hosts is odd")
    bus = bus_with()

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert [args["text"] for args in bus.asked("message.send")] == ["hello", "one\ntwo\n\nthree", "/etc/hosts is odd"]
    assert capsys.readouterr().out == "hi\nhi\nhi\n"


@pytest.mark.parametrize("word", ["/exit", "/quit"])
def test_exit_leaves_and_help_says_what_there_is(tmp_path, capsys, person, word):
    person("/help", word, "never")
    bus = bus_with()
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert bus.asked("message.send") == []
    assert "/attach" in capsys.readouterr().out


def test_other_commands_are_claudes_and_their_words_are_printed(tmp_path, capsys, person):
    person("/compact what matters")
    result = CommandResult(message_id="m", state="answered", session=session(), output="Compacted")
    bus = bus_with(session__command=result)
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.command")[0]["command"] == "/compact what matters"
    assert "Compacted\n" in capsys.readouterr().out


def test_a_pipe_gets_replies_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\nyou\n"))
    bus = bus_with()
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert [args["text"] for args in bus.asked("message.send")] == ["hello", "you"]
    assert capsys.readouterr().out == "hi\nhi\n"


def test_without_an_id_the_latest_session_of_the_folder_goes_on(tmp_path, capsys, person):
    person()
    bus = bus_with(
        session(FIRST, project_path=str(tmp_path), last_activity=1),
        session(SECOND, project_path=str(tmp_path), last_activity=2),
    )
    assert run(["chat", "--project", str(tmp_path)], app_of(tmp_path, bus)) == 0
    assert "Session aaaa2222" in capsys.readouterr().err
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
    person("hello", presses=1)
    states = iter(["interrupted"])
    bus = bus_with(
        message__get=lambda _: message(next(states)), session__interrupt={"session": session(), "rung": "escape"}
    )
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert len(bus.asked("session.interrupt")) == 1
    assert "(interrupted)" in capsys.readouterr().out


def test_a_dialog_is_answered_in_place_before_the_message_goes_on(tmp_path, capsys, person):
    person("what?", "2", "hello")
    bus = waits(TRUST)

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert [args["choice"] for args in bus.asked("session.answer")] == ["yes"]
    assert "There is no choice 'what?'" in capsys.readouterr().out
    assert [args["text"] for args in bus.asked("message.send")] == ["hello"]


def test_what_is_answered_elsewhere_is_not_asked_for_ever(tmp_path, capsys, person):
    views = iter([session(state="waiting", waiting=TRUST)] * 2)
    person(Superseded())
    bus = bus_with(session__get=lambda _: next(views, session()))
    assert run(["chat", FIRST], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.answer") == []


COLORS = [{"label": "Red", "description": "warm"}, {"label": "Blue"}]


def test_each_thing_that_can_be_said_is_shown_once_under_one_number():
    (ask,) = asks(question(COLORS, "Which?"))
    assert ask.lines == ["Which?", "  1. Red - warm", "  2. Blue", "  3. Decline to answer"]


@pytest.mark.parametrize(
    ("said", "choice", "answers"),
    [
        ("3", "deny", None),
        ("decline to answer", "deny", None),
        ("2", None, {"Which?": "Blue"}),
        ("red", None, {"Which?": "Red"}),
        ("7", None, {"Which?": "7"}),
        ("neither, really", None, {"Which?": "neither, really"}),
        (KeyboardInterrupt(), "deny", None),
    ],
    ids=str,
)
def test_the_number_that_is_shown_is_the_one_that_chooses(tmp_path, capsys, person, said, choice, answers):
    person(said)
    bus = waits(question(COLORS, "Which?"))
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    (asked,) = bus.asked("session.answer")
    assert (asked["choice"], asked["answers"]) == (choice, answers)


def test_several_questions_are_asked_one_by_one(tmp_path, capsys, person):
    person("2", "red", "my own")
    bus = waits(question(COLORS, "One?", "Two?", "Three?"))

    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0

    assert bus.asked("session.answer")[0]["answers"] == {"One?": "Blue", "Two?": "Red", "Three?": "my own"}


def test_where_several_may_be_chosen_numbers_have_commas(tmp_path, capsys, person):
    person("1, 2")
    bus = waits(question(COLORS, "Which?", several=True))
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert bus.asked("session.answer")[0]["answers"] == {"Which?": ["Red", "Blue"]}


@pytest.mark.parametrize(
    ("said", "choice", "answers"),
    [
        (("1", "1", "2", "2"), "accept", {"name": "1", "sure": "false", "color": "g"}),
        (("accept", "Ada", "yes", ""), "accept", {"name": "Ada", "sure": "true"}),
        (("2",), "decline", None),
        ((KeyboardInterrupt(),), "decline", None),
    ],
    ids=str,
)
def test_a_form_is_accepted_field_by_field_or_declined(tmp_path, capsys, person, said, choice, answers):
    person(*said)
    form = Waiting(
        id="w2",
        kind="elicitation",
        title="The MCP server forms asks for input",
        text="Who?",
        choices=[Choice(id="accept", label="Accept"), Choice(id="decline", label="Decline")],
        fields=[
            Field(name="name", label="Name", required=True),
            Field(name="sure", type="boolean", label="Sure?", required=True),
            Field(
                name="color",
                type="enum",
                label="Color",
                choices=[Choice(id="r", label="Red"), Choice(id="g", label="Green")],
            ),
        ],
    )
    bus = waits(form)
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    (asked,) = bus.asked("session.answer")
    assert (asked["choice"], asked["answers"]) == (choice, answers)


def piece(index: int, delta: str, part: str = "c1", final: bool = False) -> Event:
    """Text as it is heard."""
    data = {"delta": delta, "index": index, "final": final, "messageId": part, "promptId": "p", "message": "m_1"}
    return Event(v=1, epoch="e", seq=index + 1, at=1, kind="text", session=FIRST, data=data)


@pytest.mark.parametrize("name", [*SUBJECTS, DESCRIPTION])
def test_a_tool_is_shown_with_what_its_use_is_about(capsys, monkeypatch, name):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    data = {"phase": "started", "tool": "Some", "input": {"more": "beside", name: "this one"}}
    Display("m_1").take(Event(v=1, epoch="e", seq=1, at=1, kind="tool", session=FIRST, data=data))
    assert "Some this one" in capsys.readouterr().out


def test_text_is_shown_as_it_comes_in_claudes_order_and_only_once(tmp_path, capsys, person):
    person("hello")
    shown: list[str] = []

    def get(_):
        shown.append(capsys.readouterr().out)
        return message(reply="Let me see. Done.")

    bus = bus_with(message__get=get)
    bus.answers["heard"] = [piece(1, "me see."), piece(0, "Let "), piece(2, " Done.", final=True)]
    assert run(["chat", "aaaa"], app_of(tmp_path, bus)) == 0
    assert shown[0] == "Let me see. Done."
    assert capsys.readouterr().out == "\n"


@pytest.mark.parametrize(
    ("heard", "reply", "missing"),
    [
        ([], "all of it", "all of it"),
        (["all of it"], "all of it\n", ""),
        (["all "], "all of it", " of it"),
        (["first"], "first\n\nsecond", "\n\nsecond"),
        (["other"], "the reply", "\n\nthe reply"),
        (["second"], "first second", ""),
    ],
)
def test_at_the_end_the_reply_stands_there(heard, reply, missing):
    pieces = Pieces()
    for index, delta in enumerate(heard):
        said = events.read(piece(index, delta))
        assert isinstance(said, message_events.Text)
        pieces.take(said)
    assert pieces.missing(reply) == missing
