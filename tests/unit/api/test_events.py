"""`GET /api/events`: the journal's sequence without a hole, and every hole declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from api.events.feed import Feed
from api.events.reader import Filter, Position, Reader
from api.inbox import INBOX_SIZE, Inbox
from shared.bus.messages import Event
from shared.errors import Unavailable
from tests.api_caller import Caller, FakeFeed
from tests.api_double import FakeSupervisor
from tests.harness import PATIENCE

SESSION = "00000000-0000-4000-8000-000000000001"


def tick(head: int, epoch: str = "e1") -> Event:
    return Event(v=1, epoch=epoch, seq=0, at=1, kind="tick", data={"head": head})


def follow(home: Path, supervisor: FakeSupervisor, *live: Event, query: str = "", **headers: str) -> list[Any]:
    """The parsed stream: (event, id, data) of each message."""
    ask = Caller(home, supervisor, FakeFeed(*live))
    answer = ask("GET", f"/api/events{query}", headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert answer.status_code == 200, answer.json
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    frames = []
    for block in answer.get_data(as_text=True).strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            frames.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    assert ask.feed.left == 1
    return frames


def seqs(frames: list[Any]) -> list[int]:
    return [data["seq"] for _, _, data in frames]


def test_from_now_on(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    supervisor.publish("old")
    new = supervisor.publish("state", SESSION, state="busy")
    supervisor.journal.pop()

    (frame,) = follow(tmp_path, supervisor, new)

    assert frame[0] == "state"
    assert frame[1] == "e1:2"
    assert frame[2]["data"] == {"state": "busy"}
    assert frame[2]["session"] == SESSION


def test_replay_then_live_without_repeats(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    events = [supervisor.publish("state", SESSION) for _ in range(5)]

    assert seqs(follow(tmp_path, supervisor, *events, query="?since=2")) == [3, 4, 5]


def test_last_event_id_goes_before_since(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    for _ in range(5):
        supervisor.publish("state")

    assert seqs(follow(tmp_path, supervisor, query="?since=0", Last_Event_ID="e1:4")) == [5]


def test_a_long_replay_comes_in_pages(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    for _ in range(1203):
        supervisor.publish("state")

    assert seqs(follow(tmp_path, supervisor, query="?since=0")) == list(range(1, 1204))


def test_a_hole_in_the_live_stream_is_filled_from_the_journal(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    events = [supervisor.publish("state") for _ in range(6)]

    assert seqs(follow(tmp_path, supervisor, events[1], events[5], query="?since=1")) == [2, 3, 4, 5, 6]


def test_a_tick_reveals_what_was_missed(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    class Late(FakeSupervisor):
        def op_events_since(self, args: Any) -> Any:
            if len(self.ops()) == 2:
                self.publish("state")
            return super().op_events_since(args)

    late = Late()
    late.publish("state")

    assert seqs(follow(tmp_path, late, tick(1), tick(2))) == [2]


def test_filters(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    supervisor.publish("state", SESSION)
    supervisor.publish("state", "another")
    supervisor.publish("message", SESSION)
    live = [supervisor.publish("state", "another"), supervisor.publish("ended", SESSION)]
    replay, supervisor.journal = supervisor.journal, supervisor.journal[:3]

    frames = follow(tmp_path, supervisor, *live, query=f"?since=0&session={SESSION}&kinds=state,ended")

    assert seqs(frames) == [1, 5]
    assert len(replay) == 5


def test_what_is_no_longer_kept_is_declared(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    for _ in range(5):
        supervisor.publish("state")
    supervisor.oldest = 4

    gap, *rest = follow(tmp_path, supervisor, query="?since=1")

    assert gap[0] == "gap"
    assert (gap[2]["after"], gap[2]["oldest"], gap[2]["head"]) == (1, 4, 5)
    assert seqs(rest) == [4, 5]


def test_another_database_is_declared_and_read_from_its_start(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    supervisor.publish("state")

    gap, *rest = follow(tmp_path, supervisor, Last_Event_ID="gone:99")

    assert (gap[0], gap[2]["epoch"]) == ("gap", "e1")
    assert seqs(rest) == [1]


def test_a_place_beyond_the_end_is_declared(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    supervisor.publish("state")

    assert [frame[0] for frame in follow(tmp_path, supervisor, query="?since=7")] == ["gap"]


@pytest.mark.parametrize("query", ["since=x", "since=-1", "since=1.5", "since=9999999999999999999", "from=1"])
def test_bad_query_is_400(tmp_path: Path, supervisor: FakeSupervisor, query: str) -> None:
    assert Caller(tmp_path, supervisor)("GET", f"/api/events?{query}").status_code == 400


def test_bad_last_event_id_is_400(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    assert Caller(tmp_path, supervisor)("GET", "/api/events", headers={"Last-Event-ID": "abc"}).status_code == 400


def test_without_a_supervisor_the_stream_is_503_and_its_slot_given_back(
    tmp_path: Path, supervisor: FakeSupervisor
) -> None:
    supervisor.fail["events.since"] = Unavailable("The supervisor did not answer in time.")
    ask = Caller(tmp_path, supervisor, threads=4)

    for _ in range(10):
        assert ask("GET", "/api/events").json["code"] == "unavailable"
    assert ask.feed.joined == ask.feed.left == 10


def test_too_many_streams_are_503(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    ask = Caller(tmp_path, supervisor, threads=4)
    streams = ask.app.extensions["pilotlight"].streams
    while streams.take():
        pass

    answer = ask("GET", "/api/events")

    assert (answer.status_code, answer.json["code"]) == (503, "too_many_streams")
    assert answer.headers["Retry-After"] == "5"


def test_a_stream_that_is_never_read_gives_its_slot_back(tmp_path: Path, supervisor: FakeSupervisor) -> None:
    ask = Caller(tmp_path, supervisor, threads=4)

    for _ in range(10):
        answer = ask("GET", "/api/events", buffered=False)
        answer.close()
    assert ask.feed.joined == ask.feed.left == 10


def test_a_silent_stream_beats_with_its_position(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.events.reader.HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr("api.events.reader._LOOK_SECONDS", 0.01)
    for _ in range(3):
        supervisor.publish("state")
    reader = Reader(supervisor.call, Inbox(), Filter(kinds=frozenset({"none"})), Position(0))
    frames = reader.texts(lambda: False)
    next(frames)

    assert next(frames) == ": heartbeat\nid: e1:3\n\n"


def test_a_stream_ends_when_its_client_has_gone(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.events.reader._LOOK_SECONDS", 0.01)
    reader = Reader(supervisor.call, Inbox(), Filter(), None)

    assert len(list(reader.texts(lambda: True))) == 1


class TestFeed:
    def test_one_subscription_serves_many_and_ends_with_the_last(self, tmp_path: Path) -> None:
        address = f"ipc://{tmp_path}/e.sock"
        with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
            publisher.setsockopt(zmq.XPUB_WELCOME_MSG, b"supervisor.tick")
            publisher.bind(address)
            feed = Feed(address)
            first, second = feed.join(), feed.join()
            publisher.recv()  # subscribed: what is sent now arrives
            event = Event(v=1, epoch="e", seq=1, at=1, kind="state", session=SESSION)
            publisher.send_multipart([b"x", b"not json"])
            publisher.send_multipart([event.topic.encode(), msgspec.json.encode(event)])

            assert first.next(PATIENCE) == second.next(PATIENCE) == event

            thread = feed._thread
            assert thread is not None
            feed.leave(first)
            feed.leave(second)
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def test_stop_ends_every_inbox(self, tmp_path: Path) -> None:
        feed = Feed(f"ipc://{tmp_path}/nobody.sock")
        inbox = feed.join()
        feed.stop()

        assert inbox.next(PATIENCE) is None
        assert inbox.ended
        assert feed.join().ended

    def test_a_slow_reader_blocks_nobody(self) -> None:
        inbox = Inbox()
        for number in range(INBOX_SIZE + 10):
            inbox.put(tick(number))
        inbox.end()

        assert inbox.ended
