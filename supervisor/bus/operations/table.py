"""What can be asked of the supervisor: one table from operation to arguments and handler, made of the rows of each subject."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace as replace_fields

from shared.bus.messages import Request
from shared.bus.service_requests import RefusedCall
from shared.errors import InvalidRequest, PilotlightError
from supervisor.bus.audit import Audit
from supervisor.terminal.holder_client import HolderError
from supervisor.terminal.refusals import refusal

MAX_WAIT_SECONDS = 3600.0

Handler = Callable[[Any, Request], Awaitable[Any]]
Row = tuple[str, type[Any], Handler]
"""An operation, its arguments, and who answers it."""


class Ops:
    """The table. Whatever is asked of the supervisor passes here, and is recorded. `refuse` raises for what is not to be done
    with these arguments now."""

    def __init__(
        self, audit: Audit, rows: Iterable[Row], refuse: Callable[[str, Any], None] = lambda op, arguments: None
    ) -> None:
        self.audit = audit
        self._refuse = refuse
        self._table: dict[str, tuple[type[Any], Handler]] = {}
        own: Row = ("audit.refused", RefusedCall, self.audit.note)
        for op, arguments, handler in (*rows, own):
            if op in self._table:
                raise ValueError(f"{op} is answered twice")
            self._table[op] = (arguments, handler)

    async def handle(self, request: Request) -> Any:
        """Answer one request. Raise InvalidRequest for an unknown operation or arguments that do not fit."""
        found = self._table.get(request.op)
        if found is None:
            raise InvalidRequest(f"There is no operation {request.op!r}.", code="unknown_op")
        kind, handler = found
        try:
            arguments = msgspec.convert(request.args, kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"{request.op}: {error}.", code="invalid_arguments") from error
        self.audit.asked(request, arguments)
        if getattr(arguments, "wait", 0):
            arguments = replace_fields(arguments, wait=min(arguments.wait, _patience(request)))
        try:
            self._refuse(request.op, arguments)
            return await handler(arguments, request)
        except HolderError as error:
            raise refusal(error) from error
        except PilotlightError as error:
            self.audit.failed(request, arguments, error)
            raise


def _patience(request: Request) -> float:
    """How long its caller can wait for an answer, in seconds: what it waits for must not outlive it for ever."""
    left = request.deadline / 1000 - time.time() if request.deadline else MAX_WAIT_SECONDS
    return max(0.0, min(left, MAX_WAIT_SECONDS))
