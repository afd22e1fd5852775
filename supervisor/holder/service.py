"""The clients of one holder: who is connected, and which operation answers which request.

What must not regress: whatever a client sends or fails to read ends that client only, and never an exception in the
loop; the number of clients is bounded. Standard library only: the holder imports this.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable, Mapping
from typing import Any

from shared.frames import BadFrame
from supervisor.holder.connection import Connection
from supervisor.holder.input_queue import Reply
from supervisor.holder.ring import Ring

MAX_CLIENTS = 16

Operation = Callable[[Connection, dict[str, Any], Reply], None]


def _inode(listener: socket.socket) -> int | None:
    """That of the name which it was bound to; `fstat` would tell the socket's own."""
    try:
        return os.stat(listener.getsockname()).st_ino
    except OSError:
        return None


class Refused(Exception):
    """A request that cannot be done; `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Service:
    """Selector entries carry a callback that takes the ready events."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: socket.socket,
        ring: Ring,
        operations: Mapping[str, Operation],
    ) -> None:
        self._selector = selector
        self._listener = listener
        self._ring = ring
        self._operations = operations
        self._interests: dict[Connection, int] = {}
        self._inode = _inode(listener)
        selector.register(listener, selectors.EVENT_READ, lambda _: self._accept())

    @property
    def clients(self) -> int:
        return len(self._interests)

    @property
    def drained(self) -> bool:
        return all(connection.drained for connection in self._interests)

    def pump(self) -> None:
        for connection in list(self._interests):
            self._serve(connection, connection.pump)

    @property
    def found(self) -> bool:
        """Whether new clients can find their way here: the socket's name still leads to this listener."""
        try:
            return os.stat(self._listener.getsockname()).st_ino == self._inode
        except OSError:
            return False

    def listen_again(self, listener: socket.socket) -> None:
        """Another listener in the place of the one that nobody can find any more; who is connected stays."""
        self._selector.unregister(self._listener)
        self._listener.close()
        self._listener, self._inode = listener, _inode(listener)
        self._selector.register(listener, selectors.EVENT_READ, lambda _: self._accept())

    def part(self, message: dict[str, Any]) -> None:
        """Nobody new; a last message to everyone, after the output that is there now."""
        self._selector.unregister(self._listener)
        for connection in self._interests:
            connection.part(message)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection = Connection(sock, self._ring)
        if self.clients >= MAX_CLIENTS:
            error = {"code": "too_many_clients", "message": f"{MAX_CLIENTS} clients are connected already"}
            connection.send({"event": "refused", "error": error})
            self._interests[connection] = 0
            self._serve(connection, connection.pump)
            self._drop(connection)
            return
        self._interests[connection] = selectors.EVENT_READ
        self._selector.register(sock, selectors.EVENT_READ, lambda events: self._ready(connection, events))

    def _ready(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.writable()
        if events & selectors.EVENT_READ:
            self._serve(connection, lambda: self._listen(connection))

    def _listen(self, connection: Connection) -> None:
        for request in connection.requests():
            self._answer(connection, request)

    def _serve(self, connection: Connection, action: Callable[[], None]) -> None:
        """The boundary of a client: whatever goes wrong with it ends it, and nothing else."""
        try:
            action()
            self._watch(connection)
        except (OSError, BadFrame):
            self._drop(connection)
        except Exception:
            self._drop(connection)
            raise

    def _watch(self, connection: Connection) -> None:
        before = self._interests.get(connection, 0)
        if before and before != connection.interest:
            key = self._selector.get_key(connection.sock)
            self._selector.modify(connection.sock, connection.interest, key.data)
            self._interests[connection] = connection.interest

    def _drop(self, connection: Connection) -> None:
        if self._interests.pop(connection, 0):
            self._selector.unregister(connection.sock)
        connection.close()

    def _answer(self, connection: Connection, request: dict[str, Any]) -> None:
        seq = request.get("seq")
        if not isinstance(seq, int):
            raise BadFrame("a request without a number")

        def reply(result: dict[str, Any]) -> None:
            connection.send({"seq": seq, "ok": True, **result})

        operation = self._operations.get(str(request.get("op")))
        try:
            if operation is None:
                raise Refused("unknown_op", f"no such operation: {str(request.get('op'))[:80]}")
            operation(connection, request, reply)
        except Refused as refusal:
            reply({"ok": False, "error": {"code": refusal.code, "message": str(refusal)}})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reply({"ok": False, "error": {"code": "bad_request", "message": f"{type(error).__name__}: {error}"[:200]}})
