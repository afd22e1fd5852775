"""Three nodes and two gateways, each on a machine of its own as far as the network goes: namespaces and a bridge where they may
be made, ports on loopback where not. Which it was stands in the output, and among the properties of the test.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.server import DemoModel
from tests.faults.pausing import first_tries
from tests.faults.test_gateway import later, settled
from tests.harness import VERSIONS, claude_binary, until
from tests.machines_lab import NAMES, Machines
from tests.network import network

HOUR_MS = 3_600_000


@pytest.fixture
def machines() -> Iterator[Machines]:
    """The clock of n2 is an hour ahead."""
    folder = Path(tempfile.mkdtemp(prefix="pl-")).resolve()
    model = DemoModel(port=0)
    model.start()
    net = network()
    try:
        made = Machines(folder, model, claude_binary(VERSIONS[-1]), net, fast="n2")
        yield made
        left = made.down()
    finally:
        if net is not None:
            net.close()
        model.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert not left, left


def test_machines_outlive_their_network(machines: Machines, record_property: Callable[[str, object], None]) -> None:
    """A cut link, a slow one, a clock that is an hour ahead, a node that comes back at another address, one of another's
    name: each message has one fate, each gap is told, and nothing is started again but what was killed."""
    one, two = machines.doors
    with ThreadPoolExecutor() as pool:

        def begin(name: str) -> str:
            body = {"message": f"echo: at {name}", "projectPath": str(machines.houses[name].project), "node": name}
            told = one("POST", "/api/chat", {**body, "wait": 90}, name)[1]
            assert told.get("reply") == f"at {name}", told
            return str(told["sessionId"])

        sessions = dict(zip(NAMES, pool.map(begin, NAMES), strict=True))
    made = two("GET", f"/api/sessions/{sessions['n2']}")[1]["session"]["createdAt"] - time.time() * 1000
    assert abs(made - HOUR_MS) < HOUR_MS / 10, "its clock is an hour ahead"

    text = "[[midgate cable]] echo: through"
    heard: list[Any] = []
    client = later(one, sessions["n3"], text, "cable", heard)
    model = machines.houses["n3"].model
    assert model.wait_for_gate("cable", 30)
    machines.cut("n3")
    until(lambda: machines.states(two)["n3"] == "unreachable", "it is missed")
    status, listed = two("GET", "/api/sessions")
    states = {node["name"]: node["state"] for node in listed["nodes"]}
    assert (status, states["n1"], states["n2"]) == (200, "ok", "ok")
    assert states["n3"] in ("stale", "unreachable"), "the gap is told"
    model.release("cable")
    machines.mend("n3")
    until(lambda: machines.states(two)["n3"] == "ok", "it is seen again")
    client.join(60)
    assert heard[0][0] == 200 or heard[0][1]["code"] == "outcome_unknown", heard
    assert settled(two, sessions["n3"], text, "cable")["reply"] == "through"
    assert first_tries(machines.houses["n3"]).count(text) == 1

    how = machines.slow("n2")
    for number, door in enumerate((one, two)):
        slow = settled(door, sessions["n2"], f"echo: slow {number}", f"slow {number}".replace(" ", "-"))
        assert slow["reply"] == f"slow {number}"
    until(lambda: set(machines.states(one).values()) == {"ok"}, "slow is not away")

    house = machines.houses["n1"]
    before = house.api_address()
    machines.kill_node("n1")
    machines.renumber("n1")
    house.start_supervisor()
    house.start_api()
    assert house.api_address() != before
    until(lambda: {machines.states(door)["n1"] for door in (one, two)} == {"ok"}, "it is found where it is now")
    assert settled(two, sessions["n1"], "echo: and on", "on")["reply"] == "and on"
    history: list[Any] = one("GET", f"/api/sessions/{sessions['n1']}/history")[1]["entries"]
    assert [entry["text"] for entry in history if entry["role"] == "user"] == ["echo: at n1", "echo: and on"]

    machines.write(one, twice="n3")
    until(lambda: machines.states(one)["n1"] == "refused", "two of one name are refused")
    status, told = one("POST", f"/api/sessions/{sessions['n1']}/messages", {"message": "echo: to whom"}, "whom")
    assert (status, told["code"]) == (409, "duplicate_node")
    assert settled(two, sessions["n1"], "echo: to one", "one")["reply"] == "to one"
    machines.write(one)
    until(lambda: machines.states(one)["n1"] == "ok", "one was renamed")
    assert settled(one, sessions["n1"], "echo: to one", "one")["reply"] == "to one"

    where = "namespaces" if machines.network is not None else "ports on loopback"
    record_property("network", f"{where}, slow by {how}")
    print(f"network: {where}, slow by {how}")
