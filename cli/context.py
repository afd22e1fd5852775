"""What every command works with: the paths, the configuration, and the bus, made when they are first needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import click
import msgspec

from cli.owners import owner
from shared import config as configuration
from shared.bus.messages import Event, SessionView
from shared.bus.session_requests import ListSessions, SessionRef
from shared.config import Config
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from shared.paths import Paths, resolve

SHORT_SECONDS = 10.0
KEYS_SECONDS = 45.0
"""What may take an operation that presses keys and watches what becomes of them: answers and interrupts."""

T = TypeVar("T")
ENOUGH_TO_CHOOSE = 20
"""How many sessions that begin alike are looked at; more are as ambiguous."""


class Bus(Protocol):
    """Requests to the supervisor (shared.bus.BusClient, or a double in tests)."""

    def call(self, op: str, args: Any = None, *, timeout: float = ..., actor: str | None = None) -> Any:
        """The result of one operation, or the shared.errors error it was refused with."""
        ...

    def close(self) -> None:
        """Release the sockets."""
        ...


def _connect(paths: Paths) -> Bus:
    """A client of the supervisor of this home. Raise Unavailable at once when none runs."""
    if owner(paths.supervisor_lock) is None:
        raise Unavailable("pilotlight is not running. Start it with `pilotlight up`.", code="not_running")
    return client(paths)


def client(paths: Paths) -> Bus:
    """A client that does not mind whether anybody answers yet."""
    from shared.bus.client import BusClient  # 20 ms of import that `--help` need not wait for

    return BusClient(paths.request_address, actor="cli")


class Listener(Protocol):
    """What happens, as it happens (shared.bus.EventStream, or a double in tests)."""

    def next_event(self, timeout: float) -> Event | None:
        """The next event, or None after so many seconds."""
        ...

    def close(self) -> None:
        """Release the socket."""
        ...


def _subscribe(paths: Paths, topic: str) -> Listener:
    from shared.bus.event_stream import EventStream

    return EventStream(paths.event_address, topic)


@dataclass
class App:
    """The collaborators of one command."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    connect: Callable[[Paths], Bus] = _connect
    subscribe: Callable[[Paths, str], Listener] = _subscribe

    @cached_property
    def paths(self) -> Paths:
        """Where this installation lives."""
        return resolve(self.environment)

    @cached_property
    def config(self) -> Config:
        """The configuration in force. Raise InvalidRequest that names the bad key."""
        return configuration.load(self.paths.config_file, self.environment)

    @cached_property
    def bus(self) -> Bus:
        """The bus; raise Unavailable (`not_running`) when no supervisor runs."""
        return self.connect(self.paths)

    def call(self, op: str, args: Any = None, *, timeout: float = SHORT_SECONDS) -> Any:
        """One operation of the supervisor: its result as plain data."""
        return self.bus.call(op, args, timeout=timeout)

    def ask(self, kind: type[T], op: str, args: Any = None, *, timeout: float = SHORT_SECONDS) -> T:
        """One operation, its result as `kind`."""
        return msgspec.convert(self.call(op, args, timeout=timeout), kind)

    def listen(self, topic: str) -> Listener:
        """The events of this topic, from now on."""
        return self.subscribe(self.paths, topic)

    def sessions(self, include_ended: bool = False) -> list[SessionView]:
        """All sessions, the most recently used first."""
        result = self.call("session.list", ListSessions(include_ended=include_ended))
        found = msgspec.convert(result["sessions"], list[SessionView])
        return sorted(found, key=lambda view: view.last_activity, reverse=True)

    def session(self, reference: str) -> SessionView:
        """The session with this id, or with this unique beginning of it; ended ones too."""
        wanted = ListSessions(include_ended=True, begins_with=reference, limit=ENOUGH_TO_CHOOSE)
        found = msgspec.convert(self.call("session.list", wanted)["sessions"], list[SessionView]) if reference else []
        matches = [view for view in found if view.id.startswith(reference)]
        exact = [view for view in matches if view.id == reference]
        if len(exact or matches) == 1:
            return self.ask(SessionView, "session.get", SessionRef(session_id=(exact or matches)[0].id))
        if matches and reference:
            listed = ", ".join(view.id[:12] for view in matches[:4])
            raise InvalidRequest(
                f"{reference!r} begins several sessions ({listed}): give more of it.", code="ambiguous_id"
            )
        raise NotFound(
            f"No session begins with {reference!r}. `pilotlight ls --all` lists them.", code="session_not_found"
        )

    def close(self) -> None:
        """Release what was made."""
        if "bus" in self.__dict__:
            self.bus.close()


pass_app = click.make_pass_decorator(App, ensure=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (errors too).")


def refuse_when_unlike(present: object, wanted: object | None, message: str) -> None:
    """Raise Conflict with `message` when something else is wanted than what is there."""
    if wanted is not None and present != wanted:
        raise Conflict(message)
