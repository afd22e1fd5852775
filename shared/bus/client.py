"""The bus client that everything but the supervisor uses: requests over DEALER. `event_stream` has the events.

One thread owns the socket; callers hand it work and wait on a future, so the client is safe to call from any thread
and no socket is ever shared. A request is repeated with the same id after a silent `RESEND_SECONDS` (then doubling), because a
supervisor that restarts forgets what was in its queue; the supervisor answers a repeated id with the first reply.

What must not regress: nothing is sent to a socket in a folder that is not ours, nor believed from there, at whatever time
somebody made that folder; and nothing waits in a queue of ZeroMQ's for one that is yet to be made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from shared.bus.connection import ClientKey, Line, socket_folder
from shared.bus.messages import VERSION, Reply, Request
from shared.errors import DeadlineExceeded, PilotlightError, Unauthorized, Unavailable, from_wire
from shared.private_folders import require_private

RESEND_SECONDS = 1.0
RESEND_MAX_SECONDS = 8.0
DEFAULT_TIMEOUT_SECONDS = 10.0
CONNECTING_SECONDS = 0.02
"""How soon a frame is tried again that nobody could take yet."""


_encoder = msgspec.json.Encoder()
_replies = msgspec.json.Decoder(Reply)


@dataclass
class _Pending:
    """A request under way; `give_up` and `resend` by the monotonic clock."""

    request: Request
    frame: bytes
    future: Future[Reply]
    give_up: float
    resend: float = 0.0
    interval: float = RESEND_SECONDS

    def sent_again(self, now: float) -> None:
        """Its frame for another try: less of the caller's patience is left."""
        left = max(1, int((self.give_up - now) * 1000))
        self.frame = _encoder.encode(msgspec.structs.replace(self.request, timeout=left))


class BusClient:
    """Requests to one supervisor. Close it, or use it as a context manager; it survives fork only if made after it. Raise
    Unavailable when the folder of its socket is somebody else's."""

    def __init__(self, address: str, actor: str = "local", key: ClientKey | None = None) -> None:
        self._folder = socket_folder(address)
        if self._folder is not None:
            require_private(self._folder)
        self._heard = False
        self._address = address
        self._key = key
        self._actor = actor
        self._prefix = f"{os.getpid():x}-{uuid.uuid4().hex[:8]}"
        self._numbers = itertools.count(1)
        self._context = zmq.Context()
        self._work: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._wake_address = f"inproc://wake-{uuid.uuid4().hex}"
        self._wake_lock = threading.Lock()
        self._receiver = self._context.socket(zmq.PAIR)
        self._receiver.bind(self._wake_address)
        self._waker = self._context.socket(zmq.PAIR)
        self._waker.connect(self._wake_address)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pilotlight-bus", daemon=True)
        self._thread.start()

    def call(
        self, op: str, args: Any = None, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, actor: str | None = None
    ) -> Any:
        """The `result` of one request. Raise the error that came back, or Unavailable after `timeout` seconds."""
        return self.submit(op, args, timeout=timeout, actor=actor).result(timeout + 1.0)

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """Send one request whose answer nobody waits for."""
        self.submit(op, args, actor=actor)

    def submit(
        self, op: str, args: Any = None, *, timeout: float = DEFAULT_TIMEOUT_SECONDS, actor: str | None = None
    ) -> _Answer:
        """Send one request; `.result()` of what comes back is its result."""
        if self._closed:
            raise Unavailable("This bus client is closed.")
        request_id = f"{self._prefix}-{next(self._numbers)}"
        body: dict[str, Any] = {} if args is None else msgspec.to_builtins(args)
        now = time.time()
        request = Request(
            v=VERSION,
            id=request_id,
            op=op,
            args=body,
            deadline=int((now + timeout) * 1000),
            actor=actor or self._actor,
            sent=int(now * 1000),
            timeout=max(1, int(timeout * 1000)),
        )
        future: Future[Reply] = Future()
        self._work.put(_Pending(request, _encoder.encode(request), future, time.monotonic() + timeout))
        self._wake()
        return _Answer(future, op)

    def close(self) -> None:
        """Stop the thread and the sockets; pending requests fail with Unavailable."""
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._wake()
        self._thread.join(5)
        self._waker.close(0)
        self._context.term()

    def _wake(self) -> None:
        """Have the thread look for work. Never wait: a thread that has looked by itself may have ended, and nobody would
        ever take what is sent to it (seen: commands that hung at their end)."""
        with self._wake_lock, contextlib.suppress(zmq.Again):
            self._waker.send(b"", zmq.NOBLOCK)

    def __enter__(self) -> BusClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        line = Line(self._context, self._address, self._key)
        pending: dict[str, _Pending] = {}
        try:
            while True:
                for event in line.wait(self._receiver, self._pause(pending)):
                    if event == "reply":
                        self._receive(line.dealer, pending)
                    elif event == "work":
                        self._receiver.recv()
                    else:
                        self._refuse(pending)
                if not self._take_work(line, pending):
                    return
                self._tend(line.dealer, pending)
        finally:
            for entry in pending.values():
                entry.future.set_exception(Unavailable("The bus client was closed."))
            line.close()
            self._receiver.close(0)

    @staticmethod
    def _pause(pending: dict[str, _Pending]) -> int:
        """How long nothing need be done, in milliseconds."""
        if not pending:
            return 2000
        soonest = min(entry.resend for entry in pending.values()) - time.monotonic()
        return max(1, min(200, int(soonest * 1000)))

    @staticmethod
    def _refuse(pending: dict[str, _Pending]) -> None:
        """The supervisor does not know this key (any more), which libzmq takes for final."""
        for entry in pending.values():
            entry.future.set_exception(
                Unauthorized(
                    "The supervisor refuses this key: it was revoked, or never added. `pilotlight bus-keys add` on its machine "
                    "lets a client in.",
                    code="key_refused",
                )
            )
        pending.clear()

    def _receive(self, dealer: zmq.Socket[bytes], pending: dict[str, _Pending]) -> None:
        while True:
            try:
                frames = dealer.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            reply = _replies.decode(frames[-1])
            self._heard = True
            entry = pending.pop(reply.id, None)
            if entry is not None:
                entry.future.set_result(reply)

    def _take_work(self, line: Line, pending: dict[str, _Pending]) -> bool:
        while True:
            try:
                work = self._work.get_nowait()
            except queue.Empty:
                return True
            if work is None:
                return False
            pending[work.request.id] = work
            line.connect()
            self._send(line.dealer, work, time.monotonic())
            if work.future.done():  # refused
                del pending[work.request.id]

    def _tend(self, dealer: zmq.Socket[bytes], pending: dict[str, _Pending]) -> None:
        now = time.monotonic()
        for request_id, entry in list(pending.items()):
            if now >= entry.give_up:
                del pending[request_id]
                entry.future.set_exception(
                    Unavailable(
                        "The supervisor did not answer in time. `pilotlight status` shows whether it runs; "
                        "`pilotlight up` starts it.",
                    )
                )
            elif now >= entry.resend:
                entry.sent_again(now)
                self._send(dealer, entry, now)
            if entry.future.done():  # refused
                pending.pop(request_id, None)

    def _send(self, dealer: zmq.Socket[bytes], entry: _Pending, now: float) -> None:
        try:
            if not self._may_send():
                raise zmq.Again
            dealer.send(entry.frame, zmq.NOBLOCK)
        except zmq.Again:
            entry.resend = now + CONNECTING_SECONDS
        except PilotlightError as error:
            entry.resend = entry.give_up
            entry.future.set_exception(error)
        else:
            entry.resend = now + entry.interval
            entry.interval = min(entry.interval * 2, RESEND_MAX_SECONDS)

    def _may_send(self) -> bool:
        """Whether a frame that is given to ZeroMQ now can only come to us. Raise Unavailable when the folder is another's.

        Without a folder only to whom we have heard already: who is connected stays so. Else the frame would wait for whoever
        makes it.
        """
        if self._folder is None:
            return True
        require_private(self._folder)
        return self._heard or self._folder.exists()


class _Answer:
    """A reply that may still be on its way."""

    def __init__(self, future: Future[Reply], op: str) -> None:
        self._future = future
        self._op = op

    def result(self, timeout: float | None = None) -> Any:
        """Wait and unwrap. Raise what the supervisor raised, or DeadlineExceeded."""
        try:
            reply = self._future.result(timeout)
        except TimeoutError:
            raise DeadlineExceeded(f"No answer to {self._op} in time.") from None
        if reply.ok:
            return reply.result
        assert reply.error is not None
        raise from_wire(reply.error.code, reply.error.message, reply.error.status, reply.error.data)
