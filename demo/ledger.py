"""What the demo model remembers: requests seen, gates, and failures ordered by a test.

The only shared mutable state of the server; one condition variable guards it all. The replies do not
depend on it, except for the count of attempts and the failures a test asked for.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from demo.messages import Kind
from demo.plan import Fail

_KEPT = 10_000
_KEPT_BODIES = 64
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that brought a real prompt.

    `prompt` is the text as received, `text` the same without paste markers. `attempt` is 1 for the first try
    and counts the CLI's own retries of the same request.
    """

    at: float
    prompt: str
    text: str
    model: str
    conversation: str | None
    index: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Request:
    """Any request. `kind` is a `messages.Kind` value, `probe`, `count_tokens` or `unknown`."""

    at: float
    method: str
    path: str
    kind: str
    size: int = 0
    model: str = ""
    conversation: str | None = None
    prompt: str = ""
    attempt: int = 1


class Ledger:
    """Thread-safe record and switchboard of one demo model."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: deque[Turn] = deque(maxlen=_KEPT)
        self._turn_count = 0
        self._requests: deque[Request] = deque(maxlen=_KEPT)
        self._bodies: deque[bytes] = deque(maxlen=_KEPT_BODIES)
        self._attempts: dict[Hashable, int] = {}
        self._waiting: Counter[str] = Counter()
        self._permits: set[str] = set()
        self._released: Counter[str] = Counter()
        self._failures: deque[Fail] = deque()
        self._closed = False
        self._stopping = threading.Event()

    def attempt(self, key: Hashable) -> int:
        """How often this request has been seen, this time included. Bounded: the oldest keys are forgotten."""
        with self._changed:
            count = self._attempts.pop(key, 0) + 1
            self._attempts[key] = count
            if len(self._attempts) > _KEPT:
                del self._attempts[next(iter(self._attempts))]
            return count

    def record(self, request: Request, text: str = "", body: bytes = b"") -> None:
        with self._changed:
            self._requests.append(request)
            if body:
                self._bodies.append(body)
            if request.kind == Kind.TURN.value:
                self._turns.append(
                    Turn(
                        request.at,
                        request.prompt,
                        text,
                        request.model,
                        request.conversation,
                        self._turn_count,
                        request.attempt,
                    )
                )
                self._turn_count += 1
            self._changed.notify_all()

    def turns(self) -> list[Turn]:
        with self._changed:
            return list(self._turns)

    def requests(self) -> list[Request]:
        with self._changed:
            return list(self._requests)

    def bodies(self) -> list[bytes]:
        with self._changed:
            return list(self._bodies)

    def wait_for_turns(self, count: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._turn_count >= count, timeout)

    def order_failures(self, fail: Fail, times: int) -> None:
        with self._changed:
            self._failures.extend([fail] * times)

    def next_failure(self) -> Fail | None:
        with self._changed:
            return self._failures.popleft() if self._failures else None

    def hold(self, gate: str, gone: Callable[[], bool]) -> bool:
        """Wait at the gate. False if the server stops or `gone()`, asked without the lock, says the client left."""
        with self._changed:
            if gate in self._permits:
                self._permits.discard(gate)
                return True
            generation = self._released[gate]
            self._waiting[gate] += 1
            self._changed.notify_all()
        try:
            while not gone():
                with self._changed:
                    if self._released[gate] != generation:
                        return True
                    if self._closed:
                        return False
                    self._changed.wait(_LOOK_SECONDS)
            return False
        finally:
            with self._changed:
                self._waiting[gate] -= 1

    def pause(self, seconds: float, gone: Callable[[], bool]) -> bool:
        """Wait some time; False as for `hold`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _LOOK_SECONDS)) or gone():
                return False
        return True

    def release(self, gate: str) -> int:
        """Let everyone at the gate through and say how many; with nobody there, the next to come passes."""
        with self._changed:
            waiting = self._waiting[gate]
            if waiting:
                self._released[gate] += 1
            else:
                self._permits.add(gate)
            self._changed.notify_all()
            return waiting

    def gates(self) -> dict[str, int]:
        """How many requests wait at each gate; gates without any are left out."""
        with self._changed:
            return {gate: count for gate, count in self._waiting.items() if count}

    def wait_for_gate(self, gate: str, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting[gate] > 0, timeout)

    def forget(self) -> None:
        """Be as at the beginning: nothing seen, nothing ordered, nobody at a gate."""
        with self._changed:
            for gate in self._waiting:
                self._released[gate] += 1
            for seen in (self._turns, self._requests, self._bodies, self._attempts, self._permits, self._failures):
                seen.clear()
            self._turn_count = 0
            self._changed.notify_all()

    def close(self) -> None:
        self._stopping.set()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
