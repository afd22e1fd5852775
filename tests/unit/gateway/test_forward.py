"""One request to one node: whatever becomes of the link, a message has one fate, and what is not known is said."""

from __future__ import annotations

import io
import socket
from dataclasses import replace
from typing import Any

import pytest

from api.gateway.nodes import Address
from api.gateway.upstream import Upstream
from api.http.sockets import readable
from api.reference import calls
from shared.access.tokens import Keyring
from tests.api_process import until
from tests.gateway_double import Gateway, HangUp, Node, nobody
from tests.harness import PATIENCE

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def send(ask: Gateway, session: str, key: str = "k1", **more: Any) -> Any:
    return ask("POST", f"/api/sessions/{session}/messages", {"message": "hi", **more}, Idempotency_Key=key)


def test_every_call_has_a_way(ask: Gateway) -> None:
    there = {(method, rule.rule) for rule in ask.app.url_map.iter_rules() for method in rule.methods or ()}
    assert {(call.method, call.path) for call in calls.CALLS} <= there


def test_a_message_goes_to_the_node_of_its_session_with_the_key_of_its_sender(
    ask: Gateway, one: Node, two: Node
) -> None:
    session = two.supervisor.add_session()["id"]

    answer = send(ask, f"n2~{session}", "mine", wait=5)

    assert answer.status_code == 200, answer.text
    assert (answer.json["reply"], answer.json["requestId"]) == ("Hello from the double.", "mine")
    assert answer.json["sessionId"] == f"n2~{session}"
    assert answer.json["messageId"].startswith("n2~m_")
    sent = two.supervisor.last("message.send")
    assert (sent.session_id, sent.key, sent.wait) == (session, "mine", 5.0)
    assert "message.send" not in one.supervisor.ops()


def test_only_the_head_is_asked_for(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    assert ask("HEAD", f"/api/sessions/n2~{session}").status_code == 200
    assert ask("HEAD", f"/api/sessions/n2~{UNKNOWN}").status_code == 404
    assert ask("HEAD", "/api/sessions").status_code == 200


def test_a_receipt_is_asked_for_under_the_id_that_was_given(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    message = send(ask, f"n2~{session}", wait=1).json["messageId"]

    receipt = ask("GET", f"/api/messages/{message}?wait=1")

    assert receipt.status_code == 200, receipt.text
    assert (receipt.json["id"], receipt.json["sessionId"]) == (message, f"n2~{session}")


def test_a_bare_id_is_looked_for_at_all(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    message = send(ask, session, wait=1)
    assert message.json["sessionId"] == f"n2~{session}"
    assert ask("GET", f"/api/messages/{message.json['messageId'].partition('~')[2]}").status_code == 200
    unknown = ask("GET", f"/api/sessions/{UNKNOWN}")
    assert (unknown.status_code, unknown.json["code"]) == (404, "session_not_found")
    assert ask("GET", "/api/messages/m_unknown").json["code"] == "message_not_found"


@pytest.mark.parametrize("wait", ["nan", "x", "-1"])
def test_a_wait_that_is_none_is_refused_by_the_node(ask: Gateway, two: Node, wait: str) -> None:
    session = two.supervisor.add_session()["id"]
    message = send(ask, f"n2~{session}", wait=1).json["messageId"]
    answer = ask("GET", f"/api/messages/{message}?wait={wait}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_field"), answer.text


def test_a_bare_id_may_be_at_a_node_that_is_away(ask: Gateway, two: Node) -> None:
    two.stop()
    answer = ask("GET", f"/api/sessions/{UNKNOWN}")
    assert (answer.status_code, answer.json["code"]) == (503, "node_unreachable")
    assert answer.json["retryable"] is True


@pytest.mark.parametrize("when", ["before", "after"])
def test_when_the_node_hangs_up_the_outcome_is_unknown_and_a_repeat_finds_it(
    ask: Gateway, two: Node, when: str
) -> None:
    session = two.supervisor.add_session()["id"]
    ask("GET", f"/api/sessions/n2~{session}")  # the connection is kept from here

    def hang_up(path: str) -> None:
        if path.endswith("/messages"):
            raise HangUp

    setattr(two, when, hang_up)
    answer = send(ask, f"n2~{session}", "once")
    assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (504, "outcome_unknown", True)
    assert answer.json["requestId"] == "once"
    setattr(two, when, lambda path: None)
    again = send(ask, f"n2~{session}", "once", wait=1)

    assert again.status_code in (200, 202), again.text
    assert len(two.supervisor.messages) == 1
    assert {told["Idempotency-Key"] for method, _, told in two.asked if method == "POST"} == {"once"}


def test_a_sender_without_a_key_is_told_the_one_to_ask_again_with(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    keys: list[str] = []

    def hang_up(path: str) -> None:
        keys.append(two.asked[-1][2].get("Idempotency-Key", ""))
        if path.endswith("/messages"):
            raise HangUp

    two.before = hang_up
    answer = ask("POST", f"/api/sessions/n2~{session}/messages", {"message": "hi"})

    assert answer.status_code == 504
    assert answer.json["requestId"] in keys


def test_a_silent_node_is_not_waited_for_and_unknown(ask: Gateway, two: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gateway.here.SLACK_SECONDS", 0.2)
    session = two.supervisor.add_session()["id"]
    with two.silent("/messages"):
        answer = send(ask, f"n2~{session}")
    assert (answer.status_code, answer.json["code"]) == (504, "outcome_unknown")


def test_where_nobody_listens_nothing_was_done(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    two.stop()
    answer = send(ask, f"n2~{session}")
    assert (answer.status_code, answer.json["code"], answer.json["data"]["node"]) == (503, "node_unreachable", "n2")
    assert answer.headers["Retry-After"]


def test_a_kept_connection_that_died_is_no_failure(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    assert send(ask, f"n2~{session}", "a", wait=1).status_code == 200
    for kept in ask.gateway.upstream._kept.values():
        for connection in kept._idle:
            connection.sock.shutdown(2)
    assert send(ask, f"n2~{session}", "b", wait=1).status_code == 200


@pytest.mark.parametrize("there", ["nobody", "another"])
def test_a_repeat_that_finds_no_node_does_not_say_that_nothing_was_done(
    ask: Gateway, one: Node, two: Node, there: str
) -> None:
    session = two.supervisor.add_session()["id"]
    ask("GET", f"/api/sessions/n2~{session}")  # the connection is kept from here
    kept = ask.gateway.upstream._of(ask.gateway.nodes.get("n2").address)

    def done(path: str) -> None:
        kept._address = upstream_at(ask, nobody() if there == "nobody" else one.port).address
        raise HangUp

    two.after = done
    answer = send(ask, f"n2~{session}")

    assert (answer.status_code, answer.json["code"]) == (504, "outcome_unknown"), answer.text
    assert len(two.supervisor.messages) == 1
    assert one.supervisor.messages == {}


def test_what_waits_when_the_gateway_ends_is_unknown_and_not_sent_again(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    ask("GET", f"/api/sessions/n2~{session}")  # the connection is kept from here
    two.before = lambda path: ask.gateway.upstream.close() if path.endswith("/messages") else None

    answer = send(ask, f"n2~{session}")

    assert (answer.status_code, answer.json["code"]) == (504, "outcome_unknown"), answer.text
    assert [path for method, path, _ in two.asked if method == "POST"] == [f"/api/sessions/{session}/messages"]


def test_a_link_is_that_of_the_node_that_knows_it(ask: Gateway, one: Node, two: Node) -> None:
    def use(token: str) -> Any:
        return ask.http.post(f"/api/notifications/links/{token}", json={})

    assert (use("good").status_code, use("other").status_code) == (200, 404)
    two.stop()
    answer = use("other")
    assert (answer.status_code, answer.json["code"], answer.json["data"]["nodes"]) == (503, "node_unreachable", ["n2"])
    ask.gateway.nodes.look()
    assert use("other").status_code == 503
    assert use("good").status_code == 200


def test_another_node_at_the_address_does_nothing(ask: Gateway, one: Node, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    one.supervisor.sessions[session] = {**two.supervisor.sessions[session]}
    ask.gateway.nodes._nodes["n2"] = upstream_at(ask, one.port)

    answer = send(ask, f"n2~{session}")

    assert (answer.status_code, answer.json["code"]) == (503, "node_unreachable")
    assert one.supervisor.messages == {}


def upstream_at(ask: Gateway, port: int) -> Any:
    node, other = ask.gateway.nodes.get("n2"), ask.gateway.nodes.get("n1")
    return replace(node, address=replace(node.address, url=f"http://127.0.0.1:{port}", token=other.address.token))


def test_a_node_that_does_not_know_our_token_does_not_sign_the_person_out(ask: Gateway, one: Node) -> None:
    (ask.paths.home / "n1.token").write_text("pl_wrong")
    ask.gateway.nodes.look()
    answer = ask("GET", f"/api/sessions/n1~{UNKNOWN}")
    assert (answer.status_code, answer.json["code"]) == (503, "node_token_refused")


def test_the_node_knows_who_it_was_and_what_they_may(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    reader = Keyring(ask.paths).named.add("ada", "read")
    assert ask("GET", f"/api/sessions/n2~{session}", Authorization=f"Bearer {reader}").status_code == 200
    assert two.supervisor.actors[-1] == "token:gateway for token:ada"
    refused = ask("DELETE", f"/api/sessions/n2~{session}", Authorization=f"Bearer {reader}")
    assert (refused.status_code, refused.json["code"]) == (403, "insufficient_scope")


def test_a_reply_comes_as_it_is_written(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    answer = ask(
        "POST", f"/api/sessions/n2~{session}/messages", {"message": "hi", "wait": 1}, Accept="text/event-stream"
    )
    assert answer.content_type.startswith("text/event-stream"), answer.text
    assert f'"sessionId":"n2~{session}"' in answer.text
    assert "event: done" in answer.text


def test_a_file_comes_whole(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    export = ask("GET", f"/api/sessions/n2~{session}/export")
    assert export.text == "# Hello again"
    assert export.headers["Content-Disposition"] == 'attachment; filename="s.md"'


def test_a_form_with_a_file_arrives(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    form = {"message": "read it", "sessionId": f"n2~{session}", "file": (io.BytesIO(b"abc"), "a.txt")}
    answer = ask.http.post("/api/chat", data=form, headers={"Authorization": f"Bearer {ask.token}"})
    assert answer.status_code == 200, answer.text
    sent = two.supervisor.last("message.send")
    assert (sent.session_id, [(a.name, a.data) for a in sent.attachments]) == (session, [("a.txt", "YWJj")])


def test_no_more_is_held_than_there_are_threads_for(ask: Gateway, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    holds = ask.app.extensions["pilotlight"].long_calls
    taken = [holds.take() for _ in range(holds.size)]
    assert all(taken)
    send(ask, f"n2~{session}", wait=5)
    assert two.supervisor.last("message.send").wait == 0.0
    for _ in taken:
        holds.give()


def test_the_tickets_of_a_gateway_open_streams_of_its_nodes(ask: Gateway, two: Node) -> None:
    session = f"n2~{two.supervisor.add_session()['id']}"
    made = ask("POST", "/api/tickets", {"mode": "events", "session": session})
    assert made.status_code == 201, made.text
    two.feed.stop()
    opened = ask.http.get(f"/api/sessions/{session}/stream?ticket={made.json['ticket']}")
    assert opened.status_code == 200
    opened.close()
    assert ask("POST", "/api/tickets", {"mode": "read", "session": f"n2~{UNKNOWN}"}).status_code == 404


def test_nothing_is_kept_of_an_address_that_a_node_has_left() -> None:
    upstream = Upstream()
    with socket.create_server(("127.0.0.1", 0)) as there:
        before = Address(f"http://127.0.0.1:{there.getsockname()[1]}", "token")
        connection = upstream._of(before).fresh(PATIENCE)
        upstream._of(before).give(connection)
        there.accept()[0].close()
    assert connection.sock is not None
    until(lambda: readable(connection.sock), "the node has hung up")
    after = replace(before, at="127.0.0.1")
    upstream._of(after)
    assert connection.sock is None
    assert list(upstream._kept) == [after]
