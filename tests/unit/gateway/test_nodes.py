"""Who is where: an address is no identity, and a node that was seen is never left out."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from api.gateway.nodes import Address, Answer, Node, Nodes, addresses, assemble, load
from shared.errors import Conflict, InvalidRequest, Unavailable
from tests.gateway_double import Gateway
from tests.gateway_double import Node as Double

HERE, THERE = Address("http://a:1", "t", "n1"), Address("http://b:1", "t", "n1")
ANSWER = Answer("id1", "whatever")


def test_the_file_gives_the_name() -> None:
    (node,) = assemble([(HERE, ANSWER)], {}, 5).values()
    assert (node.name, node.state, node.id, node.as_of) == ("n1", "ok", "id1", 5)


def test_two_nodes_of_one_name_are_refused_with_both_addresses() -> None:
    (node,) = assemble([(HERE, ANSWER), (THERE, Answer("id2", "x"))], {}, 5).values()
    assert node.state == "refused"
    assert "http://a:1" in node.reason
    assert "http://b:1" in node.reason


def test_one_node_at_two_addresses_is_one() -> None:
    (node,) = assemble([(HERE, "refused"), (THERE, ANSWER)], {}, 5).values()
    assert (node.state, node.address) == ("ok", THERE)


def test_a_node_that_does_not_answer_is_listed_with_when_it_last_did() -> None:
    before = assemble([(HERE, ANSWER)], {}, 5)
    (node,) = assemble([(HERE, "no route")], before, 9).values()
    assert (node.state, node.as_of, node.reason, node.id) == ("unreachable", 5, "no route", "id1")


def test_a_node_behind_a_domain_name_is_called_as_it_calls_itself_and_missed_when_it_is_gone() -> None:
    pod = Address("http://nodes:3001", "t", at="10.0.0.1")
    before = assemble([(pod, Answer("id1", "Node-0"))], {}, 5)
    assert list(before) == ["node-0"]
    moved = assemble([(replace(pod, at="10.0.0.9"), Answer("id1", "Node-0"))], before, 9)
    assert moved["node-0"].address.at == "10.0.0.9"
    assert assemble([], before, 9)["node-0"].state == "unreachable"
    assert assemble([], before, 9 + 86_400_001) == {}


def test_a_name_that_cannot_stand_in_an_id_is_refused() -> None:
    (node,) = assemble([(Address("http://x", "t", at="1.2.3.4"), Answer("id1", "My Mac"))], {}, 5).values()
    assert node.state == "refused"
    assert "node.name" in node.reason


@pytest.mark.parametrize(
    "text", ["nodes: [{name: N1, url: 'http://x', token_file: t}]", "nodes: [{url: 'http://x', token_file: t}]",
             "nodes: [{name: a, url: 'ftp://x', token_file: t}]", "nodes: [{dns: nodes, token_file: t}]", "nodes: 5",
             "nodes: [{name: a, url: 'http://x:99999', token_file: t}]", "nodes: [{dns: 'http://[::1', token_file: t}]"]
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nodes.yaml").write_text(text)
    (tmp_path / "t").write_text("secret")
    with pytest.raises(InvalidRequest):
        addresses(load(tmp_path / "nodes.yaml"), tmp_path, lambda host, port: [], lambda name: [])


def test_a_domain_name_is_looked_up_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text("nodes: [{dns: 'http://nodes:3001', token_file: t}]")
    (tmp_path / "t").write_text("secret")
    where = ["10.0.0.1"]
    names = {"10.0.0.1": "n1", "10.0.0.2": "n2"}
    nodes = Nodes(
        tmp_path / "nodes.yaml",
        lambda a: Answer(f"id-{names[a.at or '']}", names[a.at or ""]),
        lambda host, port: where,
    )
    nodes.look()
    where.append("10.0.0.2")
    nodes.look()
    assert [(node.name, node.address.at) for node in nodes.all()] == [("n1", "10.0.0.1"), ("n2", "10.0.0.2")]
    nodes.stop()


def test_a_name_server_that_is_away_moves_no_node(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("token")
    (tmp_path / "nodes.yaml").write_text("nodes: [{dns: 'http://nodes:3001', token_file: t}]")
    where: list[list[str]] = [["10.0.0.1"], [], ["10.0.0.2"]]

    def lookup(host: str, port: int) -> list[str]:
        found = where.pop(0)
        if not found:
            raise OSError("try again")
        return found

    nodes = Nodes(tmp_path / "nodes.yaml", lambda a: Answer("id1", "n1"), lookup)
    for expected in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        nodes.look()
        assert [(node.state, node.address.at) for node in nodes.all()] == [("ok", expected)]
    nodes.stop()


def test_what_is_refused_or_away_is_not_asked(tmp_path: Path, one: Double) -> None:
    gateway = Gateway(tmp_path / "gateway", one)
    node = gateway.gateway.nodes.get("n1")
    gateway.gateway.nodes._nodes["n1"] = replace(node, state="refused", reason="two")
    with pytest.raises(Conflict):
        gateway.gateway.nodes.get("n1")
    gateway.gateway.nodes.failed(replace(node, state="refused"), "gone")
    with pytest.raises(Unavailable):
        gateway.gateway.nodes.get("n1")
    gateway.close()


def test_a_node_that_moves_is_found_and_a_bad_file_changes_nothing(ask: Gateway, one: Double, two: Double) -> None:
    session = two.supervisor.add_session()["id"]
    two.stop()
    two.start()
    ask.write(one, two)
    ask.gateway.nodes.look()
    assert ask("GET", f"/api/sessions/n2~{session}").status_code == 200
    for text in ("nodes: [", f"nodes: [{{name: n2, url: 'http://127.0.0.1:{two.port}0', token_file: n2.token}}]"):
        (ask.paths.home / "nodes.yaml").write_text(text)
        ask.gateway.nodes.look()
        assert ask("GET", f"/api/sessions/n2~{session}").status_code == 200


def test_a_token_that_no_request_can_carry_is_told_of_its_node_and_stops_nothing(
    ask: Gateway, one: Double, two: Double
) -> None:
    (ask.paths.home / "n2.token").write_text("two\nlines")
    ask.gateway.nodes.look()
    assert {node.name: node.state for node in ask.gateway.nodes.all()} == {"n1": "ok", "n2": "unreachable"}


def test_two_of_one_name_are_refused_at_the_gateway(ask: Gateway, one: Double, two: Double) -> None:
    (ask.paths.home / "nodes.yaml").write_text(
        f"nodes: [{{name: n1, url: 'http://127.0.0.1:{one.port}', token_file: n1.token}},"
        f" {{name: n1, url: 'http://127.0.0.1:{two.port}', token_file: n2.token}}]"
    )
    ask.gateway.nodes.look()
    answer = ask("GET", "/api/sessions/n1~00000000-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.json["code"]) == (409, "duplicate_node")
    assert str(one.port) in answer.json["error"]
    assert str(two.port) in answer.json["error"]


def test_a_node_over_tls_is_held_against_its_authority(tmp_path: Path) -> None:
    authorities = trustme.CA(), trustme.CA()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authorities[0].issue_cert("127.0.0.1").configure_cert(served)
    node = Double(tmp_path, "n1", served)
    home = tmp_path / "gateway"
    home.mkdir()
    authorities[1].cert_pem.write_to_path(str(home / "ca.pem"))
    gateway = Gateway(home, node)
    known = gateway.gateway.nodes.all()[0]
    assert (known.state, "CERTIFICATE_VERIFY_FAILED" in known.reason) == ("unreachable", True)

    authorities[0].cert_pem.write_to_path(str(home / "ca.pem"))
    gateway.gateway.nodes.look()
    session = node.supervisor.add_session()["id"]
    sent = gateway("POST", f"/api/sessions/n1~{session}/messages", {"message": "hi", "wait": 5})
    assert (sent.status_code, sent.json["reply"]) == (200, "Hello from the double.")
    assert gateway.gateway.nodes.all()[0].state == "ok"
    gateway.close()
    node.stop()


def test_a_view_has_no_secret() -> None:
    assert "t0ken" not in str(Node("n1", "ok", replace(HERE, token="t0ken")).view())
    assert "t0ken" not in repr(replace(HERE, token="t0ken"))
