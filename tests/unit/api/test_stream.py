"""A conversation as a stream: text in Claude's order, one `done` at the end, and a resume that loses and doubles nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.events.text_order import TextOrder
from shared.bus.messages import Event
from shared.errors import Unavailable
from tests.api_caller import Caller, FakeFeed
from tests.api_double import FakeSupervisor

SESSION = "00000000-0000-4000-8000-000000000001"


class Talker(FakeSupervisor):
    """Writes what happens to a message into the journal when it is sent."""

    def __init__(self, *script: tuple[str, dict[str, Any]], settle: bool = True) -> None:
        super().__init__()
        self.script = script
        self.settle = settle
        self.add_session(id=SESSION)

    def op_message_send(self, args: Any) -> Any:
        self.becomes = "queued"
        sent = super().op_message_send(args)
        message = sent["message"]
        if sent["duplicate"]:
            return sent
        self.publish("state", SESSION, to="busy")
        for kind, data in self.script:
            self.publish(kind, SESSION, **{"message": message["id"], **data})
        if self.settle:
            self.publish("message", SESSION, message=message["id"], state="answered")
        answer = {**sent, "message": dict(message)}
        if self.settle:
            message.update(state="answered", reply=self.reply)
        return answer


def text(index: int, delta: str, final: bool = False, part: str = "c1", **more: Any) -> tuple[str, dict[str, Any]]:
    return "text", {"delta": delta, "index": index, "final": final, "messageId": part, **more}


def parse(raw: str) -> list[tuple[str, str | None, Any]]:
    """(event, id, data) of each frame that has data."""
    frames = []
    for block in raw.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            frames.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return frames


Chat = Callable[..., list[tuple[str, str | None, Any]]]


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    homes = itertools.count()

    def ask(supervisor: FakeSupervisor, *live: Event, path: str = "/api/chat", **headers: str) -> Any:
        caller = Caller(tmp_path / str(next(homes)), supervisor, FakeFeed(*live))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"message": "hi", "sessionId": SESSION} if path == "/api/chat" else {"message": "hi"}
        answer = caller("POST", path, body, headers={"Accept": "text/event-stream", **named})
        assert answer.status_code == 200, answer.json
        assert answer.mimetype == "text/event-stream"
        frames = parse(answer.get_data(as_text=True))
        assert caller.feed.joined == caller.feed.left == 1
        return frames

    return ask


def deltas(frames: list[tuple[str, str | None, Any]]) -> str:
    return "".join(data["data"]["delta"] for kind, _, data in frames if kind == "text")


@pytest.mark.parametrize("path", ["/api/chat", f"/api/sessions/{SESSION}/messages"])
def test_accepted_then_the_events_then_done_with_reply_and_receipt(chat: Chat, path: str) -> None:
    frames = chat(Talker(text(0, "Hello "), ("tool", {"phase": "started"}), text(1, "there", final=True)), path=path)

    assert [kind for kind, _, _ in frames] == ["accepted", "state", "text", "tool", "text", "message", "done"]
    accepted, done = frames[0][2], frames[-1][2]
    assert (accepted["status"], accepted["state"], accepted["sessionId"]) == (202, "queued", SESSION)
    assert (done["status"], done["success"], done["state"]) == (200, True, "answered")
    assert done["reply"] == done["receipt"]["reply"] == "Hello from the double."
    assert done["messageId"] == done["receipt"]["id"] == accepted["messageId"]
    assert deltas(frames) == "Hello there"


def test_what_belongs_to_another_message_is_left_out(chat: Chat) -> None:
    other = ("text", {"delta": "no", "index": 0, "final": True, "messageId": "c0", "message": "m_other"})
    late = text(1, "late", final=True, message=None)
    frames = chat(Talker(other, text(0, "mine "), ("message", {"message": "m_other", "state": "answered"}), late))

    assert deltas(frames) == "mine late"
    assert [kind for kind, _, _ in frames].count("done") == 1


def test_what_is_heard_before_the_prompt_that_it_is_for_is_not_lost(chat: Chat) -> None:
    early = (text(0, "first ", message=None, promptId="p1"), ("tool", {"message": None, "promptId": "p1"}))
    strange = text(0, "no", part="c0", message=None, promptId="p0")
    proven = ("message", {"state": "submitted", "promptId": "p1"})
    rest = text(1, "rest", final=True, promptId="p1")
    frames = chat(Talker(*early, strange, proven, rest))

    assert deltas(frames) == "first rest"
    assert [kind for kind, _, _ in frames] == [
        "accepted", "state", "text", "tool", "message", "text", "message", "done",
    ]  # fmt: skip


def test_what_nobody_says_whose_it_is_stays_out_and_stops_nothing(chat: Chat) -> None:
    strange = text(0, "no", part="c0", message=None, promptId="p0")
    frames = chat(Talker(strange, text(0, "mine", final=True)))

    assert deltas(frames) == "mine"
    assert [kind for kind, _, _ in frames].count("done") == 1


def test_text_that_came_out_of_order_goes_out_in_order(chat: Chat) -> None:
    frames = chat(Talker(text(1, "b"), ("tool", {"phase": "started"}), text(0, "a"), text(2, "c", final=True)))

    assert deltas(frames) == "abc"


def test_the_last_words_are_waited_for_also_behind_a_whole_text_before_a_tool(chat: Chat) -> None:
    proven = ("message", {"state": "submitted", "promptId": "p1"})
    tool = [("tool", {"phase": phase, "promptId": "p1"}) for phase in ("started", "finished")]
    talker = Talker(proven, text(0, "Let me see.", final=True, promptId="p1"), *tool)
    kind, data = text(0, talker.reply, final=True, part="c2", message=None, promptId="p1")
    late = Event(v=1, epoch=talker.epoch, seq=7, at=0, kind=kind, session=SESSION, data=data)
    frames = chat(talker, late)

    assert deltas(frames) == f"Let me see.{talker.reply}"
    assert [kind for kind, _, _ in frames][-3:] == ["message", "text", "done"]


def test_a_message_that_fails_is_done_with_its_status(chat: Chat) -> None:
    class Failing(Talker):
        def op_message_send(self, args: Any) -> Any:
            sent = super().op_message_send(args)
            error = {"code": "rate_limit", "message": "The usage limit is reached.", "status": 429}
            self.messages[sent["message"]["id"]].update(state="failed", error=error, reply=None)
            self.publish("message", SESSION, message=sent["message"]["id"], state="failed")
            return sent

    done = chat(Failing(settle=False))[-1]

    assert done[0] == "done"
    assert (done[2]["status"], done[2]["success"], done[2]["code"]) == (429, False, "rate_limit")


def test_resuming_at_any_event_gives_exactly_the_rest(chat: Chat) -> None:
    supervisor = Talker(
        text(0, "a"), text(2, "c"), ("tool", {"phase": "started"}), text(1, "b"), text(3, "d", final=True)
    )
    whole = chat(supervisor, Idempotency_Key="k1")
    events = [(kind, identity, data) for kind, identity, data in whole if kind not in ("accepted", "done")]

    assert [identity for _, identity, _ in events if "+" in (identity or "")], "some text has overtaken other events"
    for count, (_, identity, _) in enumerate(events, 1):
        assert identity is not None
        again = chat(supervisor, Idempotency_Key="k1", Last_Event_ID=identity)
        rest = [frame for frame in again if frame[0] not in ("accepted", "done")]
        assert sorted(data["seq"] for _, _, data in rest) == sorted(data["seq"] for _, _, data in events[count:])
        assert deltas(events[:count]) + deltas(rest) == "abcd"
        assert again[-1][0] == "done"
        assert again[0][2]["duplicate"] is True
    assert supervisor.ops("events.since", "message.get", "session.get") == ["message.send"] * (len(events) + 1)
    assert len(supervisor.messages) == 1


def test_a_refusal_is_an_ordinary_answer(tmp_path: Path) -> None:
    supervisor = FakeSupervisor()
    ask = Caller(tmp_path, supervisor)

    answer = ask("POST", "/api/chat", {"message": "hi", "sessionId": SESSION}, headers={"Accept": "text/event-stream"})

    assert (answer.status_code, answer.json["code"]) == (404, "session_not_found")
    assert ask.feed.joined == ask.feed.left == 1


def test_without_a_free_stream_the_message_is_not_sent(tmp_path: Path) -> None:
    ask = Caller(tmp_path, FakeSupervisor(), threads=4)
    while ask.app.extensions["pilotlight"].streams.take():
        pass

    answer = ask("POST", "/api/chat", {"message": "hi"}, headers={"Accept": "text/event-stream"})

    assert (answer.status_code, answer.json["code"]) == (503, "too_many_streams")
    assert ask.supervisor.messages == {}


def test_wait_limits_a_stream(tmp_path: Path) -> None:
    ask = Caller(tmp_path, Talker(settle=False))

    body = {"message": "hi", "sessionId": SESSION, "wait": 0.000001}
    frames = parse(ask("POST", "/api/chat", body, headers={"Accept": "text/event-stream"}).get_data(as_text=True))

    assert frames[-1][0] == "done"
    assert (frames[-1][2]["status"], frames[-1][2]["state"]) == (202, "queued")


def test_a_supervisor_that_goes_away_leaves_the_stream_without_done(tmp_path: Path) -> None:
    class Dying(Talker):
        def op_message_send(self, args: Any) -> Any:
            sent = super().op_message_send(args)
            self.fail["message.get"] = Unavailable("gone")
            return sent

    ask = Caller(tmp_path, Dying(text(0, "a", final=True)))
    body = {"message": "hi", "sessionId": SESSION}
    frames = parse(ask("POST", "/api/chat", body, headers={"Accept": "text/event-stream"}).get_data(as_text=True))

    assert "done" not in [kind for kind, _, _ in frames]
    assert frames[-1][1] is not None


def test_json_is_the_default(tmp_path: Path) -> None:
    ask = Caller(tmp_path, FakeSupervisor())

    for accept in ("*/*", "application/json", "text/html", "application/json, text/event-stream"):
        assert ask("POST", "/api/chat", {"message": "hi"}, headers={"Accept": accept}).mimetype == "application/json"


class TestSessionStream:
    def test_is_the_conversation_and_nothing_else(self, tmp_path: Path) -> None:
        supervisor = FakeSupervisor()
        supervisor.add_session(id=SESSION)
        for kind in ("text", "tool", "message", "state", "waiting", "ended", "audit", "prompt"):
            supervisor.publish(kind, SESSION)
            supervisor.publish(kind, "another")

        answer = Caller(tmp_path, supervisor)("GET", f"/api/sessions/{SESSION.upper()}/stream?since=0")

        assert [kind for kind, _, _ in parse(answer.get_data(as_text=True))] == [
            "text", "tool", "message", "state", "waiting", "ended",
        ]  # fmt: skip

    @pytest.mark.parametrize("session", [SESSION, "nonsense"])
    def test_unknown_session_is_404(self, tmp_path: Path, session: str) -> None:
        assert Caller(tmp_path, FakeSupervisor())("GET", f"/api/sessions/{session}/stream").status_code == 404


class TestOrder:
    @staticmethod
    def event(seq: int, index: int | None, part: str = "c1") -> Event:
        data = {} if index is None else {"index": index, "messageId": part}
        kind = "tool" if index is None else "text"
        return Event(v=1, epoch="e", seq=seq, at=1, kind=kind, session=SESSION, data=data)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
    def test_every_permutation_comes_out_in_order(self, order: tuple[int, ...]) -> None:
        arranged = TextOrder()
        out = [event for seq, index in enumerate(order) for event in arranged.take(self.event(seq, index), 0.0)]

        assert [event.data["index"] for event in out] == [0, 1, 2, 3]
        assert not arranged.keeps

    def test_the_rest_keeps_its_place_behind_what_is_held(self) -> None:
        arranged = TextOrder()
        assert arranged.take(self.event(1, 1), 0.0) == []
        assert arranged.take(self.event(2, None), 0.0) == []
        assert arranged.take(self.event(3, 1, "c2"), 0.0) == []
        assert arranged.take(self.event(4, 0), 0.0) == []
        assert [event.seq for event in arranged.take(self.event(5, 0, "c2"), 0.0)] == [4, 2, 5, 1, 3]

    def test_a_piece_that_never_comes_is_not_waited_for(self) -> None:
        arranged = TextOrder()
        arranged.take(self.event(1, 5), 10.0)

        assert arranged.remaining(10.25) == pytest.approx(0.75)
        assert arranged.remaining(11.5) == 0
        assert [event.seq for event in arranged.pop_all()] == [1]
        assert arranged.remaining(11.0) is None
        assert [event.seq for event in arranged.take(self.event(2, 6), 11.0)] == [2]
        assert [event.seq for event in arranged.take(self.event(3, 4), 11.0)] == [3], "late, but not lost"
