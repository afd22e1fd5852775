"""`/api/health` names the check that fails, for each thing that can go wrong, and is well again when it is over.

The full disk, the refusing database and the missing login are in test_storage and test_start_failures.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from shared import process
from tests.conftest import MakeHouse
from tests.harness import House, until


def found(house: House) -> tuple[int, str, dict[str, str]]:
    """HTTP status, overall status, and the checks that are not ok with their words."""
    status, body = house.http("GET", "/api/health")
    return status, body["status"], {c["name"]: c["detail"] for c in body["checks"] if c["status"] != "ok"}


def becomes(house: House, status: int, overall: str, *failing: str) -> dict[str, str]:
    """The words of the failing checks, once exactly these fail."""

    last: list[Any] = []

    def so() -> bool:
        last[:] = found(house)  # a supervisor that does not answer makes it slow
        return (last[0], last[1], set(last[2])) == (status, overall, set(failing))

    try:
        until(so, f"{status} {overall} {failing}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from None
    words: dict[str, str] = last[2]
    return words


def test_each_cause_is_named_and_heals(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.config["health"] = {"interval_seconds": 0.3}
    wrapper = house.folder / "claude"
    wrapper.write_text(f'#!/bin/sh\nexec {one_cli} "$@"\n')
    wrapper.chmod(0o755)
    house.config["claude"]["command"] = str(wrapper)
    house.start_supervisor()
    house.start_api()
    _, session = house.ask("echo: warm")
    becomes(house, 200, "healthy")
    until(lambda: house.http("GET", "/api/health")[1]["claudeVersion"] == one_cli.parts[-4], "its version is known")

    wrapper.rename(wrapper.with_suffix(".away"))
    assert str(wrapper) in becomes(house, 503, "unhealthy", "cli")["cli"]
    assert house.ask("echo: who runs goes on", session)[0] == "who runs goes on"
    wrapper.with_suffix(".away").rename(wrapper)
    becomes(house, 200, "healthy")

    held = house.send("[[gate turn]] echo: done", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("turn", 30)
    house.call("settings.patch", {"values": {"limits.memory_total_gb": 0.01}})
    assert " of 10 MB" in becomes(house, 200, "degraded", "memory")["memory"]
    house.call("settings.patch", {"values": {"limits.memory_total_gb": None, "limits.memory_free_percent": 99.9}})
    assert "machine" in becomes(house, 200, "degraded", "memory")["memory"]
    house.call("settings.patch", {"values": {"limits.memory_free_percent": None}})
    becomes(house, 200, "healthy")

    holder = process.identify(house.session(session)["holderPid"])
    assert holder is not None
    process.send_signal(holder, signal.SIGSTOP)
    assert session in becomes(house, 200, "degraded", "holders")["holders"]
    process.send_signal(holder, signal.SIGCONT)
    becomes(house, 200, "healthy")
    house.model.release("turn")
    assert house.message(held, wait=30)["reply"] == "done"

    house.call("settings.patch", {"values": {"health.interval_seconds": 600}})
    socket = house.paths.run_dir / "events.sock"

    def deleted() -> str | None:
        socket.unlink(missing_ok=True)  # again, if the pass that the setting has brought on was quicker
        return found(house)[2].get("bus")

    assert "events.sock" in until(deleted, "the bus is named")
    becomes(house, 200, "degraded", "bus")
    house.call("settings.patch", {"values": {"health.interval_seconds": 0.3}})
    becomes(house, 200, "healthy")

    assert house.supervisor is not None
    house.supervisor.send_signal(signal.SIGSTOP)
    assert becomes(house, 503, "unhealthy", "supervisor")
    house.supervisor.send_signal(signal.SIGCONT)
    becomes(house, 200, "healthy")
    house.kill_supervisor()
    assert becomes(house, 503, "unhealthy", "supervisor")["supervisor"]
    assert house.http("GET", "/metrics")[0] == 200
    house.start_supervisor()
    becomes(house, 200, "healthy")
