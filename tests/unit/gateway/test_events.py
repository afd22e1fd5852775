"""The journals of all nodes as one: nothing is skipped silently, whoever breaks off."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from api.gateway import cursor
from api.gateway.cursor import Place
from api.gateway.events import Frame, Merged, decoded
from shared.errors import InvalidRequest
from tests.gateway_double import Gateway, Node
from tests.harness import until

PATIENCE = 10.0


class Listener:
    """What one client hears: (kind, data, id) of each event, in order."""

    def __init__(self, ask: Gateway, query: str = "", **headers: str) -> None:
        self._told: queue.Queue[tuple[str, Any, str]] = queue.Queue()
        self._response = ask("GET", f"/api/events{query}", **headers)
        assert self._response.status_code == 200, self._response.text
        self.last = ""
        self._over = False
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._ready.wait(PATIENCE)
        answer = {node.name for node in ask.gateway.nodes.all() if node.state == "ok"}
        until(lambda: answer <= set(ask.feed.heads()), "every node that answers is followed")

    def _read(self) -> None:
        for chunk in self._response.iter_encoded():
            kind, data, id = "", None, ""
            for line in chunk.decode().splitlines():
                name, _, rest = line.partition(": ")
                if name == "id":
                    id = rest
                elif name == "event":
                    kind = rest
                elif name == "data":
                    data = json.loads(rest)
            if kind:
                self._told.put((kind, data, id))
            self._ready.set()
            if self._over:
                break
        self._response.close()

    def next(self, *ignored: str) -> tuple[str, Any, str]:
        while True:
            found = self._told.get(timeout=PATIENCE)
            self.last = found[2] or self.last
            if found[0] not in ignored:
                return found

    def leave(self) -> None:
        self._over = True


@pytest.fixture
def listen(ask: Gateway) -> Iterator[Any]:
    made: list[Listener] = []

    def begin(query: str = "", **headers: str) -> Listener:
        made.append(Listener(ask, query, **headers))
        return made[-1]

    yield begin
    for listener in made:
        listener.leave()


def test_a_place_is_one_for_each_node() -> None:
    places = {"n1": Place(123, "e1"), "n2": Place(77)}
    assert cursor.text(places) == "n1:e1:123,n2:77"
    assert cursor.parse("n1:e1:123,n2:77", "since") == places
    for bad in ("17", "n1", "n1:x:y:3", "N1:3", "n1:3;n2:4"):
        with pytest.raises(InvalidRequest):
            cursor.parse(bad, "since")


def test_events_of_all_nodes_come_with_outside_ids(ask: Gateway, one: Node, two: Node, listen: Any) -> None:
    heard = listen()
    session = "123e4567-e89b-42d3-a456-426614174000"
    one.publish("state", session, to="busy")
    kind, data, _ = heard.next()
    assert (kind, data["session"], data["node"], data["data"]) == ("state", f"n1~{session}", "n1", {"to": "busy"})
    two.publish("message", session, messageId="m_1", state="typed")
    assert heard.next()[1]["data"]["messageId"] == "n2~m_1"
    assert heard.last == "n1:e-n1:1,n2:e-n2:1"


def test_who_comes_back_goes_on_where_each_node_was(ask: Gateway, one: Node, two: Node, listen: Any) -> None:
    first = listen()
    one.publish("state", None, n=1)
    two.publish("state", None, n=1)
    first.next(), first.next()
    place = first.last
    first.leave()
    two.publish("state", None, n=2)
    two.publish("state", None, n=3)

    again = listen(Last_Event_ID=place)

    assert [again.next()[1]["data"]["n"] for _ in range(2)] == [2, 3]
    one.publish("state", None, n=4)
    assert again.next()[1]["node"] == "n1"


def test_what_the_gateway_does_not_keep_is_fetched_from_the_node(ask: Gateway, one: Node, listen: Any) -> None:
    for n in range(5):
        one.publish("state", None, n=n)
    heard = listen("?since=n1:e-n1:2")
    assert [heard.next()[1]["data"]["n"] for _ in range(3)] == [2, 3, 4]


def test_what_is_fetched_is_passed_on_as_it_comes(ask: Gateway, one: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal may be longer than what a gateway can hold."""
    for n in range(5):
        one.publish("state", None, n=n)
    read: list[int] = []

    def counted(frame: Frame, node: str) -> Any:
        read.append(frame.seq)
        return decoded(frame, node)

    monkeypatch.setattr("api.gateway.events.decoded", counted)
    source = cast(Merged, ask.feed)
    found = source.replay("n1", Place(0, "e-n1"), 5)
    assert [next(found).data["n"], next(found).data["n"], read] == [0, 1, [1, 2]]
    assert [event.data["n"] for event in found] == [2, 3, 4]


def test_a_journal_that_comes_to_stand_when_the_last_reader_has_left_is_not_followed(
    ask: Gateway, one: Node, two: Node
) -> None:
    source = cast(Merged, ask.feed)
    opening, left = threading.Event(), threading.Event()

    def wait(path: str) -> None:
        if path == "/api/events":
            opening.set()
            assert left.wait(PATIENCE)

    one.before = wait
    inbox = source.join()
    assert opening.wait(PATIENCE)
    source.leave(inbox)
    until(lambda: not source._followed, "nobody is followed")
    left.set()
    until(
        lambda: "pilotlight-n1" not in {thread.name for thread in threading.enumerate()},
        "the thread of its journal has ended",
    )


def test_a_gap_is_declared_with_the_name_of_its_node(ask: Gateway, one: Node, listen: Any) -> None:
    for n in range(6):
        one.publish("state", None, n=n)
    one.supervisor.oldest = 5
    heard = listen("?since=n1:e-n1:1")
    kind, data, _ = heard.next()
    assert (kind, data["node"], data["oldest"]) == ("gap", "n1", 5)
    assert heard.next()[1]["data"]["n"] == 4


def test_another_journal_is_a_gap(ask: Gateway, one: Node, listen: Any) -> None:
    heard = listen()
    one.publish("state", None, n=1)
    heard.next()
    one.supervisor.epoch, one.supervisor.journal = "new", []
    one.publish("state", None, n=7)
    assert heard.next()[0] == "gap"
    assert heard.next()[1]["data"]["n"] == 7
    assert heard.last == "n1:new:1,n2:e-n2:0"


def test_a_node_that_goes_away_is_said_and_nothing_is_lost_when_it_is_back(
    ask: Gateway, one: Node, two: Node, listen: Any
) -> None:
    heard = listen()
    two.publish("state", None, n=1)
    heard.next()
    two.stop()
    ask.gateway.nodes.look()
    kind, data, _ = heard.next()
    assert (kind, data["name"], data["state"]) == ("node", "n2", "unreachable")
    two.publish("state", None, n=2)  # by the supervisor, while nobody hears it
    two.start()
    ask.write(one, two)
    ask.gateway.nodes.look()
    told = [heard.next() for _ in range(2)]
    assert sorted(kind for kind, _, _ in told) == ["node", "state"]
    assert [data["data"]["n"] for kind, data, _ in told if kind == "state"] == [2]


def test_who_comes_while_a_node_is_away_is_told(ask: Gateway, two: Node, listen: Any) -> None:
    two.stop()
    ask.gateway.nodes.look()
    assert listen().next()[1]["state"] == "unreachable"


def test_only_one_stream_is_open_at_a_node(ask: Gateway, one: Node, listen: Any) -> None:
    for _ in range(3):
        listen()
    assert len([path for _, path, _ in one.asked if path == "/api/events"]) == 1


def test_one_session_s_events_and_some_kinds(ask: Gateway, one: Node, listen: Any) -> None:
    session = one.supervisor.add_session()["id"]
    heard = listen(f"?session=n1~{session}&kinds=state")
    one.publish("state", None, n=1)
    one.publish("text", session, n=2)
    one.publish("state", session, n=3)
    assert heard.next()[1]["data"]["n"] == 3


def test_a_place_that_is_none_is_refused(ask: Gateway, tmp_path: Path) -> None:
    assert ask("GET", "/api/events?since=17").status_code == 400
