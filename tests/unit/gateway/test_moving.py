"""A whole move through the gateway: the steps in their order, whatever breaks off, and a session that is followed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from shared.bus import move_requests
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from tests.gateway_double import Gateway, HangUp, Node

BUNDLE = b"all of it" * 100_000
DIGEST = hashlib.sha256(BUNDLE).hexdigest()


class Road:
    """The part of both nodes that brings a bundle, and what is taken in at the end of it."""

    def __init__(self, one: Node, two: Node, session: dict[str, Any]) -> None:
        self.one, self.two, self.session = one, two, session
        self.came: list[tuple[str | None, bytes]] = []

    def pack(self, asked: move_requests.PackBundle) -> Any:
        (self.one.paths.moves_dir / "b.out.tar").write_bytes(BUNDLE)
        return {"file": "b.out.tar", "bytes": len(BUNDLE), "digest": DIGEST}

    def take(self, asked: move_requests.TakeBundle) -> Any:
        data = (self.two.paths.moves_dir / asked.upload).read_bytes()
        self.came.append((asked.project_path, data))
        return {"digest": hashlib.sha256(data).hexdigest(), "arrived": False}

    def arrive(self, asked: move_requests.ArriveHere) -> Any:
        assert asked.word == "w"
        if asked.session_id not in self.two.supervisor.sessions:
            self.two.supervisor.add_session(id=asked.session_id, state="hibernated")
        return self.two.supervisor.sessions[asked.session_id]

    def steps(self) -> list[str]:
        """What both were asked for, in their order."""
        asked = [*self.one.supervisor.calls, *self.two.supervisor.calls]
        return [op.partition(".")[2] for op, args, _ in asked if type(args).__module__ == move_requests.__name__]


@pytest.fixture
def road(one: Node, two: Node, monkeypatch: pytest.MonkeyPatch) -> Road:
    made = Road(one, two, one.supervisor.add_session(state="idle"))
    monkeypatch.setattr(one.supervisor, "op_session_bundle", made.pack)
    monkeypatch.setattr(two.supervisor, "op_session_import", made.take)
    monkeypatch.setattr(two.supervisor, "op_session_arrive", made.arrive)
    return made


def move(ask: Gateway, session: str, **more: Any) -> Any:
    return ask("POST", f"/api/sessions/{session}/move", {"node": "n2", **more})


def test_a_session_is_moved_and_a_repeat_is_told_the_same(ask: Gateway, road: Road) -> None:
    inner = road.session["id"]
    done = {"id": "mv_" + "0" * 32, "to": "n2", "moved": True}
    for name, told in ((f"n1~{inner}", done), (inner, None), (f"n2~{inner}", None), (f"n1~{inner}", done)):
        answer = move(ask, name, projectPath="/elsewhere")
        assert answer.status_code == 200, answer.text
        assert answer.json["session"]["id"] == f"n2~{inner}"
        assert answer.json["move"] == told
    assert road.came == [("/elsewhere", BUNDLE)]
    assert road.steps()[:3] == ["leave", "bundle", "release"]
    assert road.one.supervisor.actors[-1] == "token:gateway for token:default"
    assert [path for path in road.two.paths.moves_dir.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("where", ["one", "two"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_breaks_off_a_repeat_goes_on(ask: Gateway, road: Road, where: str, when: str) -> None:
    node = getattr(road, where)
    for step in ("/move", "/bundle", "/release") if where == "one" else ("/bundle", "/arrive"):
        broken = []

        def hang_up(path: str, step: str = step, broken: list[str] = broken) -> None:
            if path.endswith(step) and not broken:
                broken.append(path)
                raise HangUp

        setattr(node, when, hang_up)
        answer = move(ask, f"n1~{road.session['id']}")
        assert answer.status_code in (503, 504), (step, answer.text)
        assert answer.json["retryable"] is True
        assert broken
    setattr(node, when, lambda path: None)
    assert move(ask, f"n1~{road.session['id']}").status_code == 200
    assert "stay" not in road.steps()
    assert all(data == BUNDLE for _, data in road.came)


def test_what_the_other_node_has_lost_is_brought_again(ask: Gateway, road: Road) -> None:
    road.two.supervisor.fail["session.arrive"] = NotFound("There is no bundle.", code="no_such_move")

    def come_back(path: str) -> None:
        if len(road.came) == 2:
            road.two.supervisor.fail.clear()

    road.two.before = come_back
    assert move(ask, f"n1~{road.session['id']}").status_code == 200
    assert [data for _, data in road.came] == [BUNDLE] * 2
    assert road.steps()[:5] == ["leave", "bundle", "release", "bundle", "release"]


def test_what_the_other_node_refuses_for_good_is_called_off(ask: Gateway, road: Road) -> None:
    road.two.supervisor.fail["session.import"] = InvalidRequest(
        "projectPath /p does not exist.", code="invalid_project_path"
    )
    answer = move(ask, f"n1~{road.session['id']}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_project_path")
    assert answer.json["error"].startswith("n2: projectPath /p does not exist.")
    assert road.session["movingTo"] is None


def test_what_may_pass_is_not_called_off(ask: Gateway, road: Road) -> None:
    road.two.supervisor.fail["session.import"] = Unavailable("The supervisor does not answer.")
    assert move(ask, f"n1~{road.session['id']}").status_code == 503
    assert road.session["movingTo"] == "n2"
    del road.two.supervisor.fail["session.import"]
    answer = ask("DELETE", f"/api/sessions/n1~{road.session['id']}/move")
    assert (answer.status_code, answer.json["session"]["id"]) == (200, f"n1~{road.session['id']}")
    assert road.session["movingTo"] is None
    assert road.steps()[-1] == "decline"


def test_nothing_begins_when_the_other_node_is_away(ask: Gateway, road: Road) -> None:
    road.two.stop()
    ask.gateway.nodes.look()
    assert move(ask, f"n1~{road.session['id']}").json["code"] == "node_unreachable"
    assert road.steps() == []


@pytest.mark.parametrize("remembers", [True, False])
def test_a_gateway_follows_a_session_with_the_key_that_it_was_given(ask: Gateway, road: Road, remembers: bool) -> None:
    inner = road.session["id"]
    assert move(ask, f"n1~{inner}").status_code == 200
    gone = Conflict("It has moved.", code="session_moved", data={"movedTo": f"n2~{inner}", "node": "n2"})
    road.one.supervisor.fail["message.send"] = gone
    if not remembers:
        ask.gateway.moved.note((inner, "n1"), None)
        ask.gateway.moved.note(("n1", inner), None)
    sent = ask("POST", f"/api/sessions/n1~{inner}/messages", {"message": "hi", "wait": 5}, Idempotency_Key="mine")
    assert (sent.status_code, sent.json["sessionId"], sent.json["requestId"]) == (200, f"n2~{inner}", "mine")
    assert road.two.supervisor.last("message.send").key == "mine"
    for name in (f"n1~{inner}", inner):
        seen = ask("GET", f"/api/sessions/{name}")
        assert (seen.status_code, seen.json["session"]["id"]) == (200, f"n2~{inner}")
    chat = ask("POST", "/api/chat", {"sessionId": f"n1~{inner}", "message": "hi", "wait": 5})
    assert chat.json["sessionId"] == f"n2~{inner}"


def has_moved(node: Node, inner: str, to: str) -> None:
    """This node has let go of the session."""
    where = f"{to}~{inner}"
    node.supervisor.sessions[inner].update(state="ended", endReason="moved", movedTo=where)
    gone = Conflict("It has moved.", code="session_moved", data={"movedTo": where, "node": to})
    node.supervisor.fail |= {"message.send": gone, "message.get": gone, "session.leave": gone}


def is_on_its_way(answer: Any) -> bool:
    return (answer.status_code, answer.json["code"], answer.json["retryable"]) == (503, "session_moving", True)


def everything(ask: Gateway, inner: str) -> list[Any]:
    """What may be asked of a session and its messages."""
    return [
        ask("POST", f"/api/sessions/n1~{inner}/messages", {"message": "hi", "wait": 5}),
        ask("POST", "/api/chat", {"sessionId": f"n1~{inner}", "message": "hi", "wait": 5}),
        ask("GET", "/api/messages/n1~m_1"),
        ask("GET", f"/api/sessions/n1~{inner}"),
        ask("GET", f"/api/sessions/n1~{inner}/stream"),
        ask("POST", "/api/tickets", {"mode": "read", "session": f"n1~{inner}"}),
    ]


def test_a_session_that_has_left_and_not_arrived_is_on_its_way_and_not_lost(ask: Gateway, road: Road) -> None:
    inner = road.session["id"]
    has_moved(road.one, inner, "n2")
    coming = Unavailable("It is on its way here.", code="session_moving")
    road.two.supervisor.fail["session.get"] = coming
    for answer in everything(ask, inner):
        assert is_on_its_way(answer), answer.text
    del road.two.supervisor.fail["session.get"]
    answer = ask("POST", f"/api/sessions/n1~{inner}/messages", {"message": "hi", "wait": 5})
    assert (answer.status_code, answer.json["code"]) == (404, "session_not_found"), "it came there, and was removed"
    road.two.supervisor.add_session(id=inner, state="hibernated")
    answer = ask("POST", f"/api/sessions/n1~{inner}/messages", {"message": "hi", "wait": 5})
    assert (answer.status_code, answer.json["sessionId"]) == (200, f"n2~{inner}")


def test_a_session_on_its_way_back_is_told_to_be_so(ask: Gateway, road: Road) -> None:
    inner = road.session["id"]
    road.two.supervisor.add_session(id=inner)
    has_moved(road.one, inner, "n2")
    has_moved(road.two, inner, "n1")
    for answer in everything(ask, inner):
        assert is_on_its_way(answer), answer.text


def test_a_session_is_moved_back_and_that_called_off_by_the_id_that_it_had(ask: Gateway, road: Road) -> None:
    inner = road.session["id"]
    road.two.supervisor.add_session(id=inner, state="idle")
    has_moved(road.one, inner, "n2")
    gone = Conflict("It has moved.", code="session_moved", data={"movedTo": f"n2~{inner}", "node": "n2"})
    road.one.supervisor.fail["session.stay"] = gone
    cancel = ("DELETE", f"/api/sessions/n1~{inner}/move")
    assert ask(*cancel).json["code"] == "session_moved"
    road.two.supervisor.fail["session.bundle"] = Unavailable("The supervisor does not answer.")
    back = {"node": "n1"}
    assert ask("POST", f"/api/sessions/n1~{inner}/move", back).status_code == 503
    assert road.two.supervisor.sessions[inner]["movingTo"] == "n1", "what was asked is done, not taken for done"
    assert ask(*cancel).json["session"]["id"] == f"n2~{inner}"
    assert road.two.supervisor.sessions[inner]["movingTo"] is None
    assert ask("POST", f"/api/sessions/n1~{inner}/move", {"node": "n2"}).status_code == 200, "and there it is"


def test_streams_tickets_and_terminals_follow_a_session(ask: Gateway, road: Road) -> None:
    inner = road.session["id"]
    road.two.supervisor.add_session(id=inner, state="idle")
    has_moved(road.one, inner, "n2")
    with ask.http.get(
        f"/api/sessions/n1~{inner}/stream", headers={"Authorization": f"Bearer {ask.token}"}, buffered=False
    ) as stream:
        assert stream.status_code == 200
        road.two.feed.stop()
    assert "session.get" in [op for op, _, _ in road.two.supervisor.calls]
    assert ask("POST", "/api/tickets", {"mode": "read", "session": f"n1~{inner}"}).status_code == 201


def test_a_bundle_is_not_brought_to_a_gateway(ask: Gateway, road: Road) -> None:
    answer = ask.http.put(
        f"/api/sessions/n1~{road.session['id']}/bundle?move=mv_{'0' * 32}",
        data=b"{}",
        content_type="application/json",
        headers={"Authorization": f"Bearer {ask.token}"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_at_a_gateway")
