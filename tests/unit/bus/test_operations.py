"""The table of operations: what every request goes through before its handler."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.bus import session_requests
from shared.bus.message_requests import MessageRef
from shared.bus.messages import VERSION, Request
from shared.errors import PilotlightError
from supervisor.bus.audit import Audit
from supervisor.bus.operations import table as ops_module
from supervisor.bus.operations.messages import asks_behind
from supervisor.bus.operations.table import Ops
from supervisor.state.states import State
from supervisor.terminal.holder_records import HolderError

ASKS: list[tuple[str, type[Any], dict[str, Any]]] = [
    ("session.answer", session_requests.Answer, {"sessionId": "s", "choice": "1"}),
    ("session.keys", session_requests.SendKeys, {"sessionId": "s", "text": "x"}),
    ("session.interrupt", session_requests.SessionRef, {"sessionId": "s"}),
]


@pytest.mark.parametrize(("op", "kind", "args"), ASKS, ids=[ask[0] for ask in ASKS])
@pytest.mark.parametrize(
    ("code", "told"), [("timeout", "not_typed"), ("too_large", "too_large"), ("lost", "no_terminal")]
)
async def test_what_a_holder_refuses_is_no_bug(op: str, kind: Any, args: dict[str, Any], code: str, told: str) -> None:
    async def refuse(*_: Any) -> None:
        raise HolderError(code, "its own words", {"written": 0})

    store = SimpleNamespace(append=lambda *_: None, session=lambda _: None)
    ops = Ops(Audit(cast(Any, store)), [(op, kind, refuse)])
    with pytest.raises(PilotlightError) as error:
        await ops.handle(Request(v=VERSION, id="a", op=op, args=args))
    assert error.value.error_code == told


@pytest.mark.parametrize(
    ("asked", "left", "expected"),
    [
        (5.0, 0, 5),
        (1e12, 0, 3600),
        (1e12, 30, 30),
        (60.0, 30, 30),
        (60.0, -5, 0),
        (1e12, 1e6, 3600),
    ],
)
async def test_nobody_is_waited_for_longer_than_they_wait(
    asked: float, left: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000
    monkeypatch.setattr(ops_module, "time", SimpleNamespace(time=lambda: now))
    waits: list[float] = []

    async def note(arguments: MessageRef, _: Request) -> None:
        waits.append(arguments.wait)

    ops = Ops(Audit(cast(Any, None)), [("message.get", MessageRef, note)])
    deadline = int((now + left) * 1000) if left else 0
    args = {"messageId": "m", "wait": asked}
    await ops.handle(Request(v=VERSION, id="a", op="message.get", args=args, deadline=deadline))
    assert waits == [expected]


def test_an_operation_is_answered_by_one_alone() -> None:
    async def nothing(*_: Any) -> None:
        pass

    with pytest.raises(ValueError, match=r"message\.get"):
        Ops(Audit(cast(Any, None)), [("message.get", MessageRef, nothing)] * 2)


@pytest.mark.parametrize(
    ("current", "ends"),
    [(("own", "typed"), False), (("own", "submitted"), True), (("other", "typed"), True), (None, True)],
)
def test_a_command_that_is_being_entered_is_not_told_before_its_receipt_is(
    current: tuple[str, str] | None, ends: bool
) -> None:
    message = None if current is None else SimpleNamespace(id=current[0], state=current[1])
    session = SimpleNamespace(state=State.WAITING, waiting=object(), current=message)
    assert asks_behind(cast(Any, session), "own") is ends
    session.waiting = None
    assert not asks_behind(cast(Any, session), "own")
