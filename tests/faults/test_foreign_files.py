"""Pipes, sockets and files of a terabyte in the place of what Claude and its hooks write: nobody waits, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import MakeHouse
from tests.harness import until
from tests.odd_files import folder, pipe, plug, sparse


def test_what_is_no_file_costs_its_session_nothing_and_the_others_neither(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    _, session = house.ask("Remember the word MEDLAR")
    _, other = house.ask("echo: other")
    pid = house.session(session)["pid"]
    ours = house.paths.session_dir(session)
    odd = {"90001.0": pipe, "90002.0": plug, "90003.0": sparse, "90004.0": folder}
    with (ours / "hooks.log").open("a") as log:
        for name, put in odd.items():
            put(ours / "spool" / name)
            log.write(f"hook Stop {name}\n")

    def put_aside() -> set[str]:
        events = [event for event in house.events(session=session) if event["kind"] == "quarantined"]
        return {event["data"]["what"] for event in events}

    assert house.ask("echo: meanwhile", other)[0] == "meanwhile"
    until(lambda: put_aside() == set(odd), "each is put aside")
    statuses = house.claude_home / ".claude" / "sessions"
    pipe(statuses / "4000000.json")
    house.kill_supervisor()
    (ours / "hooks.log").unlink()
    pipe(ours / "hooks.log")
    sparse(ours / "spool" / "90005.0")
    os.mkfifo(ours / "spool" / "90005.0.answer")
    house.start_supervisor()
    assert house.ask("What word did I ask you to remember?", session)[0] == "MEDLAR"
    assert house.session(session)["pid"] == pid
    assert put_aside() == {*odd, "hooks.log"}
    house.call("session.hibernate", {"sessionId": other})
    assert house.ask("echo: woken beside a pipe", other)[0] == "woken beside a pipe"
    (statuses / "4000000.json").unlink()
