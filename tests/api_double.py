"""The supervisor as the API sees it, in memory, at the bus's edge: same operations, same argument schema, same errors.

Arguments are converted to their structs (shared.bus.operations), unknown fields refused, so a call that the real supervisor
would not understand fails here too. What a test may decide: what a message becomes, what an op raises. The answers are in
`session_double`, `message_double`, `service_double` and `move_double`, by what is asked about.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.bus import operations
from shared.errors import PilotlightError
from tests.message_double import MessageOperations
from tests.move_double import MoveSteps
from tests.service_double import ServiceOperations

ARGUMENTS = {name: operation.arguments for name, operation in operations.OPERATIONS.items()}


class FakeSupervisor(MessageOperations, ServiceOperations, MoveSteps):
    """Operations on dictionaries, in the wire's camelCase."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Any, float]] = []
        self.actors: list[str | None] = []
        self.told: list[tuple[str, Any, str | None]] = []
        self.fail: dict[str, PilotlightError] = {}

    def call(self, op: str, args: Any = None, *, timeout: float = 10.0, actor: str | None = None) -> Any:
        """As shared.bus.BusClient.call."""
        plain = msgspec.to_builtins(args) if args is not None else {}
        typed = msgspec.convert(plain, ARGUMENTS[op])
        self.calls.append((op, typed, timeout))
        self.actors.append(actor)
        if op in self.fail:
            raise self.fail[op]
        handler = getattr(self, "op_" + op.replace(".", "_"))
        return msgspec.json.decode(msgspec.json.encode(handler(typed)))

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """As shared.bus.BusClient.tell."""
        self.told.append((op, msgspec.convert(msgspec.to_builtins(args), ARGUMENTS[op]), actor))

    def ops(self, *ignored: str) -> list[str]:
        """The operations asked for so far, without pings."""
        return [op for op, _, _ in self.calls if op not in ("ping", *ignored)]

    def last(self, op: str) -> Any:
        """The arguments of the latest call of this operation."""
        return next(args for name, args, _ in reversed(self.calls) if name == op)
