"""`pilotlight move`: tried again while something is away, and decided by nobody but a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import run
from cli.commands.nodes import until_moved
from cli.context import App
from shared.errors import Conflict, DeadlineExceeded, PilotlightError, Unavailable
from tests.gateway_double import Gateway, Node

DONE = {"session": {"id": "n2~1"}}


def attempts(*outcomes: PilotlightError | dict[str, Any]) -> Any:
    """What each try comes to."""
    left = iter(outcomes)

    def attempt() -> dict[str, Any]:
        outcome = next(left)
        if isinstance(outcome, PilotlightError):
            raise outcome
        return outcome

    return attempt


def test_it_is_tried_again_while_what_is_in_its_way_may_pass(capsys: pytest.CaptureFixture[str]) -> None:
    away = Unavailable("n2 is away.")
    slept: list[float] = []
    told = until_moved(attempts(away, away, DeadlineExceeded("Not known."), DONE), 60, lambda: 0.0, slept.append)
    assert (told, len(slept)) == (DONE, 3)
    assert capsys.readouterr().err.count("n2 is away.") == 1, "each reason is said once"


def test_what_a_person_has_to_decide_is_said_at_once() -> None:
    with pytest.raises(Conflict):
        until_moved(attempts(Conflict("It is busy.")), 60, lambda: 0.0, lambda _: None)
    now = iter(range(100))
    with pytest.raises(Unavailable):
        until_moved(attempts(*[Unavailable("away")] * 9), 5, lambda: float(next(now)), lambda _: None)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[Gateway, Node]]:
    nodes = Node(tmp_path, "n1"), Node(tmp_path, "n2")
    made = Gateway(tmp_path / "gateway", *nodes)
    made.listen()
    yield made, nodes[0]
    made.close()
    for node in nodes:
        node.stop()


def test_the_session_may_be_named_by_its_beginning(
    gateway: tuple[Gateway, Node], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made, node = gateway
    app = App(
        {"PILOTLIGHT_HOME": str(tmp_path / "none"), "PILOTLIGHT_GATEWAY": made.url, "PILOTLIGHT_TOKEN": made.token}
    )
    session = node.supervisor.add_session(movingTo="n2")["id"]
    assert run(["move", f"n1~{session[:8]}", "--cancel"], app) == 0
    assert capsys.readouterr().out == f"It is n1~{session}.\n"
    assert run(["move", session[:8], "n1", "--json"], app) == 0, "it is there"
    assert json.loads(capsys.readouterr().out)["session"]["id"] == f"n1~{session}"
    assert run(["move", f"n1~{session}"], app) == 2
    assert run(["move", "ffffffff", "n2"], app) == 4
    assert run(["move", f"n1~{session}", "n7"], app) == 4


def test_where_no_gateway_answers_nothing_is_begun_and_it_is_said(
    gateway: tuple[Gateway, Node], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A single pilotlight took it for the first step of a move: the session slept, and accepted nothing any more."""
    _, node = gateway
    url = f"http://127.0.0.1:{node.port}"
    app = App({"PILOTLIGHT_HOME": str(tmp_path / "none"), "PILOTLIGHT_GATEWAY": url, "PILOTLIGHT_TOKEN": node.token})
    session = node.supervisor.add_session()["id"]
    for words in (["move", session, "n2"], ["nodes"]):
        assert run(words, app) == 3, words
        assert "is no gateway. Start one with `pilotlight gateway`" in capsys.readouterr().err
    assert "session.leave" not in node.supervisor.ops()
