"""The commands about sessions, against a bus double: what is asked, printed and returned."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from cli.__main__ import run
from shared.bus.messages import ErrorBody, Event, Sent
from shared.errors import Busy, Conflict, Unavailable
from tests.unit.cli.test_double import FIRST, SECOND, TRUST, FakeBus, app_of, bus_with, message, session


def test_ls_shows_the_most_recently_used_first(tmp_path, capsys):
    bus = bus_with(session(FIRST, last_activity=1), session(SECOND, last_activity=2, title="docs"))

    assert run(["ls"], app_of(tmp_path, bus)) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["ID", "STATE"]
    assert [line.split()[0] for line in lines[1:]] == ["aaaa2222", "aaaa1111"]
    assert bus.asked("session.list") == [
        {"state": None, "includeEnded": False, "beginsWith": "", "after": None, "limit": None}
    ]


def test_ls_json_is_the_sessions(tmp_path, capsys):
    assert run(["ls", "--all", "--json"], app_of(tmp_path, bus_with())) == 0
    assert json.loads(capsys.readouterr().out)["sessions"][0]["projectPath"] == "/tmp/project"


def test_new_sends_an_absolute_path_and_prints_the_id(tmp_path, capsys, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    bus = FakeBus(session__create=session())

    assert run(["new", "work", "--trust", "--title", "t", "--permission-mode", "plan"], app_of(tmp_path, bus)) == 0

    assert capsys.readouterr().out == f"{FIRST}\n"
    asked = bus.asked("session.create")[0]
    assert (asked["projectPath"], asked["trust"], asked["permissionMode"]) == (str(tmp_path / "work"), True, "plan")


def test_new_waits_for_the_trust_dialog_that_it_answers(tmp_path, capsys):
    views = iter([session(state="waiting", waiting=TRUST), session()])
    bus = FakeBus(session__create=session(state="waiting", waiting=TRUST), session__get=lambda _: next(views))

    assert run(["new", str(tmp_path), "--trust"], app_of(tmp_path, bus)) == 0

    assert len(bus.asked("session.get")) == 2
    assert "trust this folder" not in capsys.readouterr().err


def test_new_without_trust_says_what_is_asked_and_how_to_answer(tmp_path, capsys):
    bus = FakeBus(session__create=session(state="waiting", waiting=TRUST))

    assert run(["new", str(tmp_path)], app_of(tmp_path, bus)) == 0

    told = capsys.readouterr()
    assert told.out == f"{FIRST}\n"
    assert "2. Yes, I trust this folder" in told.err
    assert "pilotlight answer aaaa1111" in told.err


def test_new_refuses_what_is_not_a_folder_before_asking(tmp_path, capsys):
    bus = FakeBus()
    assert run(["new", str(tmp_path / "missing")], app_of(tmp_path, bus)) == 5
    assert bus.calls == []


def test_send_prints_the_reply_and_nothing_else_on_standard_output(tmp_path, capsys):
    bus = bus_with()

    assert run(["send", "aaaa", "hello"], app_of(tmp_path, bus)) == 0

    assert capsys.readouterr().out == "hi\n"
    assert bus.asked("message.send")[0]["sessionId"] == FIRST


def test_send_reads_standard_input(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from\na file\n"))
    bus = bus_with()
    assert run(["send", FIRST, "-"], app_of(tmp_path, bus)) == 0
    assert bus.asked("message.send")[0]["text"] == "from\na file\n"


def test_send_without_waiting_prints_the_message_id(tmp_path, capsys):
    bus = bus_with()
    assert run(["send", FIRST, "hello", "--wait", "0"], app_of(tmp_path, bus)) == 0
    assert capsys.readouterr().out == "m_1\n"
    assert bus.asked("message.get") == []


@pytest.mark.parametrize("wait", [["--wait", "0"], []])
def test_send_tells_what_was_changed_unless_exact_is_asked_for(tmp_path, capsys, wait):
    sent = Sent(message=message(normalized=["nfc", "invisible:2", "trailing:1"]), session=session())
    bus = bus_with(message__send=sent)
    assert run(["send", FIRST, "cafe\u0301", *wait], app_of(tmp_path, bus)) == 0
    printed = capsys.readouterr()
    assert "nfc" not in printed.out
    assert printed.err == "Changed so that it reaches Claude: nfc, invisible:2.\n"
    assert run(["send", FIRST, "cafe\u0301", "--exact", *wait], app_of(tmp_path, bus)) == 0
    assert [order["exact"] for order in bus.asked("message.send")] == [False, True]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (message("failed", error=ErrorBody(code="x", message="The CLI died.")), "The CLI died."),
        (message("interrupted"), "The message was interrupted."),
        (message("submitted"), "No reply yet"),
    ],
)
def test_send_says_why_there_is_no_reply(tmp_path, capsys, end, told):
    bus = bus_with(message__get=end)
    assert run(["send", FIRST, "hello", "--wait", "0.05"], app_of(tmp_path, bus)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err


@pytest.mark.parametrize(("gone", "code"), [(KeyboardInterrupt(), 130), (Unavailable("It is away."), 3)])
def test_send_says_where_the_message_is_when_the_waiting_ends_before_it(tmp_path, capsys, monkeypatch, gone, code):
    """It said "failed", and who sent it again had it done twice."""

    def ended(_args):
        raise gone

    monkeypatch.setattr("cli.follow._PATIENCE_SECONDS", 0.0)
    bus = bus_with(message__get=ended)
    assert run(["send", FIRST, "hello"], app_of(tmp_path, bus)) == code
    told = capsys.readouterr().err
    assert "The message is accepted and goes its way: `pilotlight message m_1 --wait 60`." in told


def test_send_stops_waiting_when_a_person_is_asked(tmp_path, capsys):
    bus = bus_with(session(state="waiting", waiting=TRUST), message__get=message("queued"))
    assert run(["send", FIRST, "hello", "--wait", "60"], app_of(tmp_path, bus)) == 1
    assert "pilotlight answer aaaa1111" in capsys.readouterr().err


def test_a_reply_cannot_drive_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    bus = bus_with(message__get=message(reply="a\x1b]0;owned\x07b\n\tc"))
    assert run(["send", FIRST, "hello"], app_of(tmp_path, bus)) == 0
    assert capsys.readouterr().out == "a�]0;owned�b\n\tc\n"


def test_show_prints_the_session_and_its_latest_messages(tmp_path, capsys):
    pages = {
        None: {"messages": [message(id=f"m_{n}", text=f"text {n}") for n in range(9)], "next": "m_8"},
        "m_8": {"messages": [message(id="m_9", text="text 9"), message(id="m_10", text="text 10")], "next": None},
    }
    bus = bus_with(message__list=lambda args: pages[args["after"]])

    assert run(["show", "aaaa"], app_of(tmp_path, bus)) == 0

    out = capsys.readouterr().out
    assert "text 0 " not in out
    assert "> text 1 " in out
    assert "> text 10 " in out


def test_kill_ends_exactly_the_session_that_was_named(tmp_path, capsys):
    bus = bus_with(session(FIRST), session(SECOND), session__kill=session(SECOND, state="ended"))
    assert run(["kill", "aaaa2"], app_of(tmp_path, bus)) == 0
    assert [args["sessionId"] for args in bus.asked("session.kill")] == [SECOND]


def test_a_beginning_that_fits_two_sessions_is_refused(tmp_path, capsys):
    bus = bus_with(session(FIRST), session(SECOND))
    assert run(["kill", "aaaa"], app_of(tmp_path, bus)) == 2
    assert "aaaa1111-000" in capsys.readouterr().err
    assert bus.asked("session.kill") == []


def test_an_unknown_session_is_not_found(tmp_path, capsys):
    assert run(["show", "bbbb"], app_of(tmp_path, bus_with())) == 4


@pytest.mark.parametrize("choice", ["2", "yes", "yes, i trust this folder"])
def test_answer_takes_the_number_the_id_or_the_label(tmp_path, capsys, choice):
    bus = bus_with(session(state="waiting", waiting=TRUST), session__answer={"session": session(), "answer": {}})

    assert run(["answer", "aaaa", "--choice", choice], app_of(tmp_path, bus)) == 0

    assert bus.asked("session.answer")[0]["choice"] == "yes"
    assert bus.asked("session.answer")[0]["waitingId"] == "w1"


def test_answer_without_a_choice_lists_them(tmp_path, capsys):
    bus = bus_with(session(state="waiting", waiting=TRUST))
    assert run(["answer", "aaaa"], app_of(tmp_path, bus)) == 0
    assert "1. No, exit" in capsys.readouterr().out


def test_answer_with_an_unknown_choice_types_nothing(tmp_path, capsys):
    bus = bus_with(session(state="waiting", waiting=TRUST))
    assert run(["answer", "aaaa", "--choice", "3"], app_of(tmp_path, bus)) == 5
    assert bus.asked("session.answer") == []


def test_answer_to_a_session_that_waits_for_nothing_is_refused(tmp_path, capsys):
    assert run(["answer", "aaaa", "--choice", "1"], app_of(tmp_path, bus_with())) == 5
    assert "does not wait" in capsys.readouterr().err


def test_attention_lists_only_what_waits(tmp_path, capsys):
    bus = bus_with(session(FIRST, state="waiting", waiting=TRUST), session(SECOND))
    assert run(["attention"], app_of(tmp_path, bus)) == 0
    out = capsys.readouterr().out
    assert "aaaa1111  trust" in out
    assert "aaaa2222" not in out


@pytest.mark.parametrize(("error", "code"), [(Conflict("Ended."), 5), (Busy("Full."), 5)])
def test_a_refusal_is_one_line_and_json_on_request(tmp_path, capsys, error, code):
    bus = bus_with(message__send=error)
    assert run(["send", "aaaa", "hello", "--json"], app_of(tmp_path, bus)) == code
    printed = capsys.readouterr()
    assert printed.err == f"pilotlight: {error.message}\n"
    assert json.loads(printed.out)["error"]["code"] == error.code


def _event(seq: int, epoch: str = "e") -> Event:
    return Event(v=1, epoch=epoch, seq=seq, at=1_000, kind="state", session=FIRST, data={"to": "idle"})


def _page(head: int, *found: Event, oldest: int = 1, gap: bool = False, epoch: str = "e") -> dict[str, object]:
    return {"epoch": epoch, "head": head, "oldest": oldest, "gap": gap, "events": found}


def test_events_reads_the_journal_page_by_page_and_declares_a_gap(tmp_path, capsys):
    pages = {3: _page(7, _event(5), _event(6), oldest=5, gap=True), 6: _page(7, _event(7), oldest=5)}
    bus = FakeBus(events__since=lambda args: pages[args["seq"]])

    assert run(["events", "--since", "3", "--json"], app_of(tmp_path, bus)) == 0

    printed = capsys.readouterr()
    gap, *told = [json.loads(line) for line in printed.out.splitlines()]
    assert [event["seq"] for event in told] == [5, 6, 7]
    reason = "older events are no longer kept"
    assert gap == {"kind": "gap", "data": {"after": 3, "oldest": 5, "head": 7, "epoch": "e", "reason": reason}}
    assert reason in printed.err


class _Heard:
    """A subscription that brings what it was given, and then Ctrl-C."""

    def __init__(self, *heard: Event | Callable[[], None]) -> None:
        self._heard = list(heard)

    def next_event(self, timeout: float) -> Event | None:
        if not self._heard:
            raise KeyboardInterrupt
        first = self._heard.pop(0)
        return first if isinstance(first, Event) else first()

    def close(self) -> None:
        pass


def test_events_goes_on_in_another_journal_and_says_so(tmp_path, capsys, monkeypatch):
    kept = {"e": [_event(seq) for seq in (1, 2, 3)], "f": [_event(seq, "f") for seq in (1, 2)]}
    now = ["e"]

    def since(args):
        found = [event for event in kept[now[0]] if event.seq > args["seq"]]
        return _page(len(kept[now[0]]), *found, epoch=now[0])

    def replaced() -> None:
        now[0] = "f"
        bus.answers["events.since"] = Unavailable("It starts again.")

    def back() -> None:
        bus.answers["events.since"] = since

    tick = Event(v=1, epoch="f", seq=0, at=1, kind="tick", data={"head": 2})
    heard = _Heard(_event(3), replaced, tick, back, tick, _event(2, "f"), _event(3, "f"))
    monkeypatch.setattr("cli.commands.events.EventStream", lambda address: heard)
    bus = FakeBus(events__since=since)

    assert run(["events", "--since", "1", "--follow", "--json"], app_of(tmp_path, bus)) == 0

    printed = capsys.readouterr()
    told = [json.loads(line) for line in printed.out.splitlines()]
    assert [(line.get("epoch"), line.get("seq"), line["kind"]) for line in told] == [
        ("e", 2, "state"), ("e", 3, "state"), (None, None, "gap"), ("f", 1, "state"), ("f", 2, "state"), ("f", 3, "state"),
    ]  # fmt: skip
    assert told[2]["data"] == {
        "after": 3, "oldest": 1, "head": 2, "epoch": "f", "reason": "another journal: the database was replaced",
    }  # fmt: skip
    assert printed.err.count("the database was replaced") == 1


def test_events_that_a_journal_does_not_reach_are_not_waited_for_in_silence(tmp_path, capsys, monkeypatch):
    bus = FakeBus(events__since=lambda args: _page(2))
    monkeypatch.setattr("cli.commands.events.EventStream", lambda address: _Heard(_event(3)))

    assert run(["events", "--since", "900", "--follow", "--json"], app_of(tmp_path, bus)) == 0

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line.get("seq")) for line in told] == [("gap", None), ("state", 3)]


def test_every_session_command_says_that_nothing_runs(tmp_path, capsys):
    for line in (["ls"], ["show", "a"], ["send", "a", "b"], ["kill", "a"], ["events"], ["attention"], ["answer", "a"]):
        assert run([*line, "--json"], app_of(tmp_path)) == 3
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_running"
    assert list(tmp_path.iterdir()) == []
