"""One question to all nodes: what came is told, and so is what did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.gateway.scatter import LISTS, Part, exposition
from shared.errors import Forbidden
from tests.gateway_double import Gateway, Node


def states(answer: object) -> dict[str, str]:
    return {node["name"]: node["state"] for node in answer.json["nodes"]}  # type: ignore[attr-defined]


def test_a_list_is_the_lists_of_all(ask: Gateway, one: Node, two: Node) -> None:
    first, second = one.supervisor.add_session()["id"], two.supervisor.add_session(currentMessage="m_1")["id"]

    answer = ask("GET", "/api/sessions")

    assert [(view["id"], view["node"]) for view in answer.json["sessions"]] == [
        (f"n1~{first}", "n1"),
        (f"n2~{second}", "n2"),
    ]
    assert answer.json["sessions"][1]["currentMessage"] == "n2~m_1"
    assert states(answer) == {"n1": "ok", "n2": "ok"}
    assert ask("GET", "/api/sessions?node=n2").json["sessions"][0]["id"] == f"n2~{second}"


def test_a_node_that_is_silent_is_stale_and_one_never_heard_unreachable(ask: Gateway, one: Node, two: Node) -> None:
    session = two.supervisor.add_session()["id"]
    before = ask("GET", "/api/sessions").json["nodes"][1]["asOf"]

    ask.hurry(one, two)
    with two.silent():
        answer = ask("GET", "/api/sessions")
        other = ask("GET", "/api/attention")

    assert states(answer) == {"n1": "ok", "n2": "stale"}
    assert answer.json["nodes"][1]["asOf"] == before
    assert [view["id"] for view in answer.json["sessions"]] == [f"n2~{session}"]
    assert states(other) == {"n1": "ok", "n2": "unreachable"}


def test_what_one_was_told_is_no_answer_for_another(ask: Gateway, two: Node) -> None:
    from shared.access.tokens import Keyring

    two.supervisor.add_session()
    assert len(ask("GET", "/api/sessions").json["sessions"]) == 1
    two.stop()
    reader = Keyring(ask.paths).named.add("ada", "read")
    answer = ask("GET", "/api/sessions", Authorization=f"Bearer {reader}")
    assert (answer.json["sessions"], states(answer)["n2"]) == ([], "unreachable")


def test_pages_of_a_list_go_on_at_each_node(
    ask: Gateway, one: Node, two: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [one.supervisor.add_session() for _ in range(2)]
    pages = {None: {"sessions": views[:1], "next": "1.x"}, "1.x": {"sessions": views[1:], "next": None}}
    monkeypatch.setattr(one.supervisor, "op_session_list", lambda asked: pages[asked.after])
    first = ask("GET", "/api/sessions?limit=1").json
    assert (len(first["sessions"]), first["next"]) == (1, "n1:1.x")
    rest = ask("GET", "/api/sessions?limit=1&after=n1:1.x").json
    assert ([view["id"] for view in rest["sessions"]], rest["next"]) == ([f"n1~{views[1]['id']}"], None)
    assert ask("GET", "/api/sessions?after=1").status_code == 400


def test_another_page_does_not_stand_in_for_one_that_cannot_be_had(
    ask: Gateway, one: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [one.supervisor.add_session() for _ in range(2)]
    pages = {None: {"sessions": views[:1], "next": "1.x"}, "1.x": {"sessions": views[1:], "next": None}}
    monkeypatch.setattr(one.supervisor, "op_session_list", lambda asked: pages[asked.after])
    assert ask("GET", "/api/sessions?limit=1").json["next"] == "n1:1.x"
    one.stop()

    rest = ask("GET", "/api/sessions?limit=1&after=n1:1.x")

    assert (rest.json["sessions"], rest.json.get("next")) == ([], None)
    assert states(rest) == {"n1": "unreachable"}
    again = ask("GET", "/api/sessions?limit=1").json
    assert ([view["id"] for view in again["sessions"]], again["next"]) == ([f"n1~{views[0]['id']}"], "n1:1.x")


def test_a_node_that_refuses_its_part_is_not_told_as_if_it_had_nothing(
    ask: Gateway, one: Node, two: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.supervisor.add_session()
    monkeypatch.setitem(two.supervisor.fail, "session.list", Forbidden("Not for you."))

    answer = ask("GET", "/api/sessions")

    assert (answer.status_code, len(answer.json["sessions"])) == (200, 1)
    assert states(answer) == {"n1": "ok", "n2": "unreachable"}
    assert "Not for you." in answer.json["nodes"][1]["reason"]


def test_a_refusal_of_all_is_a_refusal(ask: Gateway) -> None:
    answer = ask("GET", "/api/sessions?state=sleepy")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_field")


@pytest.mark.parametrize("path", sorted(LISTS - {"/api/search"}))
def test_every_list_names_its_nodes(ask: Gateway, path: str) -> None:
    answer = ask("GET", path)
    assert answer.status_code == 200, answer.text
    assert states(answer) == {"n1": "ok", "n2": "ok"}


def test_usage_of_a_day_is_added_up(ask: Gateway, one: Node, two: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in (one, two):
        row = {"day": "2026-11-28", "replies": 2, "usage": {"inputTokens": 5}, "from": "2026-11-28", "to": "2026-11-28"}
        told = {"by": "day", "rows": [row], "total": {"inputTokens": 5}, "complete": True}
        monkeypatch.setattr(node.supervisor, "op_usage", lambda _, told=told: told)
    answer = ask("GET", "/api/usage").json
    assert answer["total"] == {"inputTokens": 10}
    assert [(row["replies"], row["usage"], row["from"]) for row in answer["rows"]] == [
        (4, {"inputTokens": 10}, "2026-11-28")
    ]


def test_hits_of_all_nodes_take_turns(ask: Gateway, one: Node, two: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in (one, two):
        session = node.supervisor.add_session()["id"]
        hits = [{"sessionId": session, "id": f"{node.name}-{n}", "snippet": "x"} for n in range(2)]
        monkeypatch.setattr(node.supervisor, "op_search", lambda _, hits=hits: {"hits": hits, "complete": True})
    found = ask("GET", "/api/search?q=x").json["hits"]
    assert [hit["id"] for hit in found] == ["n1-0", "n2-0", "n1-1", "n2-1"]
    assert {hit["sessionId"].partition("~")[0] for hit in found} == {"n1", "n2"}


def test_health_is_that_of_the_nodes(ask: Gateway, two: Node) -> None:
    assert ask("GET", "/api/health").json["status"] == "healthy"
    two.stop()
    ask.gateway.nodes.look()
    answer = ask("GET", "/api/health")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert {check["name"]: check["status"] for check in answer.json["checks"]} == {"n1": "ok", "n2": "fail"}
    assert ask("GET", "/health").json["nodes"] == {"ok": 1, "all": 2}
    assert {node["name"]: node["state"] for node in ask("GET", "/api/nodes").json["nodes"]} == {
        "n1": "ok",
        "n2": "unreachable",
    }


def test_metrics_say_whose_they_are(ask: Gateway, two: Node) -> None:
    two.stop()
    ask.gateway.nodes.look()
    text = ask("GET", "/metrics").text
    assert 'pilotlight_node_up{node="n1"} 1' in text
    assert 'pilotlight_node_up{node="n2"} 0' in text
    assert 'pilotlight_sessions{node="n1",state="idle"} 2.0' in text


def test_metrics_of_two_nodes_stand_together_by_family(ask: Gateway) -> None:
    nodes = ask.gateway.nodes.all()
    body = b"# HELP a A.\n# TYPE a gauge\na 1.0\n# HELP b B.\n# TYPE b gauge\nb 2.0\n"
    lines = exposition([Part(node, "ok", 0, body) for node in nodes]).splitlines()[4:]
    assert lines == ["# HELP a A.", "# TYPE a gauge", 'a{node="n1"} 1.0', 'a{node="n2"} 1.0',
                     "# HELP b B.", "# TYPE b gauge", 'b{node="n1"} 2.0', 'b{node="n2"} 2.0']  # fmt: skip


def test_settings_are_changed_at_a_node_that_is_named(ask: Gateway, one: Node, two: Node) -> None:
    assert ask("PATCH", "/api/settings", {"sessions.timeout_hours": 1}).json["code"] == "node_needed"
    assert ask("PATCH", "/api/settings?node=n2", {"sessions.timeout_hours": 1}).status_code == 200
    assert (one.supervisor.settings["sessions.timeout_hours"], two.supervisor.settings["sessions.timeout_hours"]) == (
        24.0,
        1,
    )


def test_a_new_session_goes_where_its_project_is(ask: Gateway, two: Node) -> None:
    two.supervisor.add_session(projectPath="/work")
    made = ask("POST", "/api/sessions", {"projectPath": "/work"})
    assert made.status_code == 201, made.text
    assert made.json["session"]["id"].startswith("n2~")
    assert made.json["placement"]["node"] == "n2"
    assert "has the project" in made.json["placement"]["reason"]
    assert made.headers["Location"].endswith(made.json["session"]["id"])


def test_a_new_session_goes_where_it_is_sent(ask: Gateway, two: Node) -> None:
    made = ask("POST", "/api/sessions", {"projectPath": "/work", "node": "n2"})
    assert (made.status_code, made.json["placement"]) == (201, {"node": "n2", "reason": "it was named"})


def test_a_repeat_goes_where_the_first_went(ask: Gateway, one: Node, two: Node) -> None:
    body = {"message": "hi", "projectPath": "/work", "wait": 1}
    first = ask("POST", "/api/chat", body, Idempotency_Key="k").json
    node = one if first["sessionId"].startswith("n1~") else two
    for _ in range(9):
        node.supervisor.add_session()  # the other has more room now

    again = ask("POST", "/api/chat", body, Idempotency_Key="k").json

    assert again["messageId"] == first["messageId"]
    assert again["duplicate"] is True
    assert "before" in again["placement"]["reason"]


def test_recipients_are_known_by_their_node(ask: Gateway, two: Node, tmp_path: Path) -> None:
    made = ask("POST", "/api/recipients?node=n2", {"kind": "ntfy", "name": "x", "target": {"topic": "t"}})
    assert made.status_code == 201, made.text
    found = ask("GET", "/api/recipients").json["recipients"]
    assert [one["id"] for one in found] == ["n2~d_0"]
    assert ask("DELETE", "/api/recipients/n2~d_0").status_code == 200
    assert two.supervisor.recipients == {}
