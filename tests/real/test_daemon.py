"""Claude's own daemon, started by a tool of a session: nobody's, so that it outlives the session that it was started in."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from shared import process
from shared.process import family
from tests.conftest import MakeHouse
from tests.harness import House, until
from tests.real.permission_lab import tool

SECRET = "echo: from behind"


def daemons(house: House) -> dict[process.ProcessId, list[str]]:
    """The daemon of this house, and all that it runs, with their words."""
    return {one: process.arguments(one) for one in house.marked() if family.is_nobodys(one)}


def test_an_agent_in_claudes_background_is_not_ended_with_the_session_that_began_it(
    make_house: MakeHouse, one_cli: Path
) -> None:
    house = make_house(one_cli)
    house.config["claude"] |= {"agent_view": True, "args": ["--allowedTools", "Bash"]}
    house.config["health"] = {"interval_seconds": 0.3}
    house.start_supervisor()
    try:
        reply, session = house.ask(tool("Bash", command=f"{one_cli} --bg {SECRET!r}"))
        assert "backgrounded" in reply
        # Which process it is, none of them says: one that was kept ready is told its prompt by a socket.
        until(lambda: any(SECRET in turn.prompt for turn in house.model.turns()), "the agent works")
        behind = daemons(house)
        child, holder = (process.identify(house.session(session)[name]) for name in ("pid", "holderPid"))
        assert child is not None
        assert holder is not None
        assert set(behind) <= set(process.descendants(holder)), "it is in the session's tree, if nobody looks"
        assert not set(behind) & set(family.members(holder))
        house.call("session.kill", {"sessionId": session})
        assert not process.alive(holder)
        hosts = [one for one, words in behind.items() if family.is_daemons(words)]
        assert len(hosts) >= 2, "the daemon, and the terminal of the agent"
        assert [process.alive(one) for one in hosts] == [True] * len(hosts)
    finally:
        left = daemons(house)
        for one in left:
            process.send_signal(one, signal.SIGKILL)
        for word in (word for words in left.values() for word in words if "/cc-daemon-" in word):
            shutil.rmtree(Path(word).parent.parent, ignore_errors=True)
