"""A bus double and one home for the tests of the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from cli.context import App
from shared.bus.messages import Choice, Event, MessageView, Sent, SessionView, Waiting
from shared.errors import NotFound

FIRST, SECOND = "aaaa1111-0000-4000-8000-000000000001", "aaaa2222-0000-4000-8000-000000000002"


def session(identity: str = FIRST, **more: Any) -> SessionView:
    """A session with sensible values."""
    values: dict[str, Any] = {
        "id": identity,
        "state": "idle",
        "project_path": "/tmp/project",
        "created_at": 1_000,
        "last_activity": 2_000,
        "message_count": 1,
        "queue_length": 0,
        **more,
    }
    return SessionView(**values)


def message(state: str = "answered", **more: Any) -> MessageView:
    """A receipt with sensible values."""
    values: dict[str, Any] = {
        "id": "m_1",
        "session_id": FIRST,
        "state": state,
        "text": "hello",
        "created_at": 1_000,
        "steps": {"accepted": 1_000},
        "reply": "hi" if state == "answered" else None,
        **more,
    }
    return MessageView(**values)


TRUST = Waiting(
    id="w1",
    kind="trust",
    title="Do you trust this folder?",
    text="/tmp/project",
    choices=[Choice(id="no", label="No, exit"), Choice(id="yes", label="Yes, I trust this folder")],
)


def question(options: list[dict[str, Any]], *names: str, several: bool = False) -> Waiting:
    """What Claude asks, as the supervisor puts it."""
    own = [Choice(id=str(number), label=option["label"]) for number, option in enumerate(options, 1)]
    return Waiting(
        id="w2",
        kind="question",
        title="Claude asks",
        text="\n".join(names),
        choices=[*(own if len(names) == 1 else []), Choice(id="deny", label="Decline to answer")],
        questions=[{"question": name, "options": options, "multiSelect": several} for name in names],
    )


class FakeBus:
    """Answers operations from a table of values or functions; remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {name.replace("__", "."): value for name, value in answers.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, op: str, args: Any = None, *, timeout: float = 10.0, actor: str | None = None) -> Any:
        """What the table says, as it would come over the wire."""
        body = {} if args is None else msgspec.to_builtins(args)
        self.calls.append((op, body))
        if op not in self.answers:
            raise NotFound(f"No such operation: {op}.")
        answer = self.answers[op]
        if isinstance(answer, Exception):
            raise answer
        return msgspec.to_builtins(answer(body) if isinstance(answer, Callable) else answer)

    def asked(self, op: str) -> list[dict[str, Any]]:
        """The arguments of every call of one operation."""
        return [args for name, args in self.calls if name == op]

    def close(self) -> None:
        """Nothing to release."""


def bus_with(*sessions: SessionView, **more: Any) -> FakeBus:
    """A bus that knows these sessions and answers every message with "hi"."""
    known = {view.id: view for view in sessions or (session(),)}
    return FakeBus(
        **{
            "session__list": {"sessions": list(known.values())},
            "session__get": lambda args: known[args["sessionId"]],
            "message__send": lambda args: Sent(message=message("queued"), session=next(iter(known.values()))),
            "message__get": lambda args: message(),
            "message__list": {"messages": [message()], "next": None},
            **more,
        }
    )


def app_of(home: Path, bus: FakeBus | None = None, **environment: str) -> App:
    """The command's collaborators in a home of the test's own."""
    env = {"PILOTLIGHT_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin", **environment}
    if bus is None:
        return App(environment=env)
    return App(environment=env, connect=lambda _paths: bus, subscribe=lambda _paths, _topic: Heard(bus))


class Heard:
    """The events that the bus double was given under `heard`, then silence."""

    def __init__(self, bus: FakeBus) -> None:
        self._bus = bus

    def next_event(self, timeout: float) -> Event | None:
        """The next one."""
        heard = self._bus.answers.setdefault("heard", [])
        return heard.pop(0) if heard else None

    def close(self) -> None:
        """Nothing to release."""


def test_the_double_answers_like_the_wire(tmp_path):
    bus = bus_with(session(SECOND))
    assert app_of(tmp_path, bus).call("session.list")["sessions"][0]["projectPath"] == "/tmp/project"
    assert bus.asked("session.list") == [{}]
