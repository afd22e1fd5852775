"""pilotlight is upgraded under living sessions: they are adopted as they are, and those whose holders are of another version are
replaced between two turns."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import MakeHouse
from tests.harness import ROOT, House, until


def other_version(folder: Path) -> Path:
    """A copy of the code whose holders speak another version of the protocol."""
    for room in ("supervisor", "shared", "config", "demo"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "supervisor" / "holder/protocol.py"
    text = file.read_text()
    assert text.count("PROTOCOL = 1\n") == 1
    file.write_text(text.replace("PROTOCOL = 1\n", "PROTOCOL = 2\n"))
    return folder


def restart_from(house: House, code: Path) -> None:
    house.extra_env["PYTHONPATH"] = str(code)
    house.kill_supervisor()
    house.start_supervisor()


def test_sessions_live_through_an_upgrade_and_back_and_change_holders_between_turns(
    make_house: MakeHouse, one_cli: Path
) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    _, session = house.ask("Remember the word BULLACE")
    before = house.session(session)
    sent = house.send("[[gate turn]] echo: through it all", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("turn", 30)

    restart_from(house, other_version(house.folder / "next"))
    assert house.until_state(session, "busy")["pid"] == before["pid"], "a turn is not cut off for it"
    house.model.release("turn")
    assert house.message(sent, wait=30)["reply"] == "through it all"
    assert house.ask("What word did I ask you to remember?", session)[0] == "BULLACE"
    until(lambda: house.session(session)["generation"] == 2, "it is replaced")
    assert house.until_state(session, "idle")["pid"] != before["pid"]

    restart_from(house, ROOT)
    assert house.ask("What word did I ask you to remember?", session)[0] == "BULLACE"
    until(lambda: house.session(session)["generation"] == 3, "it is replaced again")
    causes = [e["data"]["cause"] for e in house.events(session=session) if e["data"].get("to") == "hibernated"]
    assert causes == ["upgrade", "upgrade"]
