"""A pilotlight has an id that stays, a name that may change, and says both beside the epoch, also when only the API runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from shared import node
from shared.config import load
from shared.errors import InvalidRequest, StorageFailed
from shared.node import EPOCH_HEADER, NODE_HEADER, NodeFile
from supervisor.store.store import Store
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.service_double import NODE


def test_the_id_stays_and_name_and_epoch_follow(tmp_path: Path) -> None:
    made = node.establish(tmp_path, None, "e1")
    assert (made.name, made.epoch) == (socket.gethostname(), "e1")
    assert len(made.id) == 16
    assert int(made.id, 16) >= 0
    again = node.establish(tmp_path, "Küche", "e2")
    assert again == node.Node(made.id, "Küche", "e2") == node.read(tmp_path)
    assert (tmp_path / node.NAME).stat().st_mode & 0o777 == 0o600


def test_two_homes_have_two_ids(tmp_path: Path) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    assert len({node.establish(home, "same", "e").id for home in homes}) == 2


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    node.establish(tmp_path, "n", "e")
    before = os.stat(tmp_path / node.NAME)
    node.establish(tmp_path, "n", "e")
    assert os.stat(tmp_path / node.NAME) == before


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / f"{node.NAME}.new").mkdir()
    with pytest.raises(StorageFailed, match=r"node\.json cannot be written"):
        node.establish(tmp_path, None, "e")


def test_what_was_written_again_is_read_again(tmp_path: Path) -> None:
    file = NodeFile(tmp_path)
    assert file.now() is None
    first = node.establish(tmp_path, "n", "e1")
    assert file.now() == first
    second = node.establish(tmp_path, "n", "e2")
    assert file.now() == second
    (tmp_path / node.NAME).write_text("{")
    assert file.now() is None


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101, 7])
def test_a_name_is_a_line(tmp_path: Path, name: Any) -> None:
    (tmp_path / "config.yaml").write_text(f"node: {{name: {name!r}}}".replace("'", '"'))
    with pytest.raises(InvalidRequest, match=r"\$\.node\.name"):
        load(tmp_path / "config.yaml", {})


def test_every_event_says_its_node(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "pilotlight.db"), []
    store.journal.node, store.publish = "n1", heard.extend
    store.append("one")
    assert [event.node for event in (*heard, *store.events(0, 10, None, None))] == ["n1", "n1"]
    store.close()


@pytest.fixture
def ask(tmp_path: Path) -> Caller:
    return Caller(tmp_path, FakeSupervisor())


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/health", 200), ("/api/sessions", 200), ("/api/nothing", 404), ("/api/docs", 200)],
)
def test_every_response_names_its_node_and_epoch(ask: Caller, tmp_path: Path, path: str, status: int) -> None:
    assert NODE_HEADER not in ask("GET", path).headers, "before the first start of a supervisor there is none"
    known = node.establish(tmp_path, "n", "e7")
    answer = ask("GET", path)
    assert answer.status_code == status
    assert (answer.headers[NODE_HEADER], answer.headers[EPOCH_HEADER]) == (known.id, "e7")


def test_health_names_the_node_also_when_the_supervisor_is_down(ask: Caller, tmp_path: Path) -> None:
    from shared.errors import Unavailable

    known = node.establish(tmp_path, "n", "e7")
    for path, op in (("/health", "status"), ("/api/health", "health")):
        body = ask("GET", path).json
        assert (body["node"], body["epoch"]) == (NODE, ask.supervisor.epoch)
        ask.supervisor.fail[op] = Unavailable("The supervisor did not answer in time.")
        answer = ask("GET", path)
        assert answer.status_code == 503
        assert (answer.json["node"], answer.json["epoch"]) == ({"id": known.id, "name": "n"}, "e7")
    assert ask("GET", "/api/status").status_code == 503


def test_every_answer_is_documented_with_the_headers(ask: Caller) -> None:
    document = ask("GET", "/api/openapi.json").json
    assert {NODE_HEADER, EPOCH_HEADER} <= set(document["components"]["headers"])
    responses = [
        response if "$ref" not in response else document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        for path in document["paths"].values()
        for call in path.values()
        for response in call["responses"].values()
    ]
    assert responses
    assert all({NODE_HEADER, EPOCH_HEADER} <= set(response["headers"]) for response in responses)
