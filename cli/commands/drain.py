"""`pilotlight drain`: nothing begins on a node any more, and all of it sleeps as soon as its turn is over; then it is said.

Here (for the hook that runs before a machine or a pod goes down) or, with a name, at a node behind the gateway. What must not
regress: a turn is never cut off by it, and what could not be put to sleep in time is named, with exit code 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import click

from cli.commands.nodes import Gateway, gateway_of
from cli.context import App, json_option, pass_app
from cli.output import DONE, FAILED, emit, say
from shared.bus.service_requests import SettingsPatch
from shared.bus.session_requests import HibernateSession, ListSessions
from shared.errors import Busy, Conflict, DeadlineExceeded, NotFound, Unavailable

LOOK_SECONDS = 0.5
SLEEP_SECONDS = 45.0
ASLEEP = ("hibernated", "ended")


class Target(Protocol):
    """The node that is drained."""

    def draining(self, on: bool) -> None:
        """Whether it is to begin nothing."""
        ...

    def sessions(self) -> list[dict[str, Any]]:
        """Those that have not ended."""
        ...

    def hibernate(self, session: str) -> None:
        """Put one to sleep. Raise Conflict or Busy when it cannot be now."""
        ...


@dataclass(frozen=True)
class Here:
    """The supervisor of this home."""

    app: App

    def draining(self, on: bool) -> None:
        """Over the bus."""
        self.app.call("settings.patch", SettingsPatch(values={"sessions.draining": on or None}))

    def sessions(self) -> list[dict[str, Any]]:
        """Over the bus."""
        found: list[dict[str, Any]] = self.app.call("session.list", ListSessions())["sessions"]
        return found

    def hibernate(self, session: str) -> None:
        """Over the bus."""
        self.app.call("session.hibernate", HibernateSession(session_id=session), timeout=SLEEP_SECONDS)


@dataclass(frozen=True)
class Behind:
    """A node behind a gateway."""

    gateway: Gateway
    node: str

    def draining(self, on: bool) -> None:
        """Through the gateway."""
        self.gateway.call("PATCH", self._there("/api/settings"), {"sessions.draining": on or None})

    def sessions(self) -> list[dict[str, Any]]:
        """Through the gateway."""
        found: list[dict[str, Any]] = self.gateway.call("GET", self._there("/api/sessions"))["sessions"]
        return found

    def _there(self, path: str) -> str:
        return f"{path}?node={quote(self.node, safe='')}"

    def hibernate(self, session: str) -> None:
        """Through the gateway."""
        self.gateway.call("POST", f"/api/sessions/{session}/hibernate")


@click.command()
@click.argument("node", required=False)
@click.option("--timeout", default=600.0, show_default=True, help="Seconds that turns get to finish.")
@click.option("--off", is_flag=True, help="End it: the node takes sessions again.")
@json_option
@pass_app
def drain(app: App, node: str | None, timeout: float, off: bool, as_json: bool) -> int:
    """Take no new session, and put every session to sleep when its turn is over. Messages wait until the node is back.

    Without NODE this node, over its own bus. Exit code 1 when something still works after the time-out; it is named.
    """
    target: Target = Behind(gateway_of(app), node) if node else Here(app)
    target.draining(not off)
    if off:
        emit({"draining": False}) if as_json else click.echo("It takes sessions again.")
        return DONE
    awake = until_asleep(target, timeout)
    if as_json:
        emit({"draining": True, "awake": [session["id"] for session in awake]})
    elif awake:
        for session in awake:
            say(f"{session['id']} is still {session['state']}.")
    else:
        click.echo("Everything sleeps. It takes no new sessions until `pilotlight drain --off`.")
    return FAILED if awake else DONE


def until_asleep(
    target: Target,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> list[dict[str, Any]]:
    """Put to sleep what can be, again and again; what is still awake after the time-out."""
    end = clock() + timeout
    while True:
        try:
            there = target.sessions()
        except (Unavailable, DeadlineExceeded):  # it is drained when it is back, too
            if clock() >= end:
                raise
            pause(LOOK_SECONDS)
            continue
        awake = [session for session in there if session["state"] not in ASLEEP]
        awake = [session for session in awake if session["state"] != "idle" or not _hibernated(target, session["id"])]
        if not awake or clock() >= end:
            return awake
        pause(LOOK_SECONDS)


def _hibernated(target: Target, session: str) -> bool:
    """Whether it sleeps now; one that has begun a turn, or has something planned, is looked at again."""
    try:
        target.hibernate(session)
    except (Conflict, Busy, NotFound, Unavailable, DeadlineExceeded):
        return False
    return True
