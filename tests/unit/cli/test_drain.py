"""`pilotlight drain`: turns are finished, everything sleeps, and what does not is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import run
from cli.commands.drain import until_asleep
from cli.context import App
from shared.errors import Conflict, DeadlineExceeded, Unavailable
from tests.gateway_double import Gateway, Node


class Three:
    """Three sessions: one at rest, one whose turn ends after a while, one that has something planned."""

    def __init__(self, turn: int = 3) -> None:
        self.states = {"rest": "idle", "turn": "busy", "planned": "idle"}
        self.looks, self._turn = 0, turn

    def draining(self, on: bool) -> None:
        """Nothing."""

    def sessions(self) -> list[dict[str, Any]]:
        self.looks += 1
        if self.looks == self._turn:
            self.states["turn"] = "idle"
        return [{"id": name, "state": state} for name, state in self.states.items()]

    def hibernate(self, session: str) -> None:
        if session == "planned" and self.looks < 5:
            raise Conflict("It has something planned.")
        assert self.states[session] == "idle", "a turn is never cut off"
        self.states[session] = "hibernated"


def test_everything_sleeps_once_its_turn_is_over() -> None:
    target, now = Three(), iter(range(100))
    assert until_asleep(target, 50, lambda: float(next(now)), lambda _: None) == []
    assert set(target.states.values()) == {"hibernated"}


def test_what_still_works_is_named() -> None:
    target, now = Three(turn=1000), iter(range(1000))
    assert [session["id"] for session in until_asleep(target, 20, lambda: float(next(now)), lambda _: None)] == ["turn"]


def test_what_was_put_to_sleep_in_the_last_moment_is_not_named() -> None:
    target = Three(turn=1000)
    assert [session["id"] for session in until_asleep(target, 0, lambda: 0.0, lambda _: None)] == ["turn", "planned"]
    assert target.states["rest"] == "hibernated"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[Gateway, Node]]:
    node = Node(tmp_path, "n1")
    node.supervisor.settings["sessions.draining"] = False
    made = Gateway(tmp_path / "gateway", node)
    made.listen()
    yield made, node
    made.close()
    node.stop()


def test_a_node_behind_a_gateway_is_drained_and_chosen_no_more(
    gateway: tuple[Gateway, Node], capsys: pytest.CaptureFixture[str]
) -> None:
    door, node = gateway
    session = node.supervisor.add_session(state="hibernated")["id"]
    app = App({"HOME": "/none", "PILOTLIGHT_GATEWAY": door.url, "PILOTLIGHT_TOKEN": door.token})

    assert run(["drain", "n1"], app) == 0

    assert "Everything sleeps" in capsys.readouterr().out
    assert node.supervisor.settings["sessions.draining"] is True
    refused = door("POST", "/api/sessions", {"projectPath": "/p"})
    assert (refused.status_code, refused.json["code"]) == (429, "no_room")
    assert door("GET", f"/api/sessions/n1~{session}").status_code == 200
    assert run(["drain", "n1", "--off"], app) == 0
    assert not node.supervisor.settings["sessions.draining"]
    node.supervisor.add_session(state="busy")
    assert run(["drain", "n1", "--timeout", "0"], app) == 1
    assert "is still busy" in capsys.readouterr().out


def test_a_node_that_is_away_for_a_while_is_drained_when_it_is_back() -> None:
    target, now = Three(), iter(range(1000))
    known, seen = target.sessions, iter(range(1000))

    def sessions() -> list[dict[str, Any]]:
        if next(seen) in (0, 2):
            raise Unavailable("Nobody answers.") if target.looks else DeadlineExceeded("It is not known.")
        return known()

    target.sessions = sessions  # type: ignore[method-assign]
    assert until_asleep(target, 500, lambda: float(next(now)), lambda _: None) == []
    with pytest.raises(DeadlineExceeded):
        until_asleep(AwayForEver(), 5, lambda: float(next(now)), lambda _: None)


class AwayForEver(Three):
    """Nobody there."""

    def sessions(self) -> list[dict[str, Any]]:
        raise DeadlineExceeded("It is not known.")
