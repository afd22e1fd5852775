"""The holder at work: one thread, one selector, no decisions.

The terminal is read whatever else happens; clients are served; when the child ends, that is on disk before anyone is
told, then the rest of its tree is ended, then the clients hear of it and the holder leaves. What must not regress: no
client and no bug in serving one can stop the reading, memory stays flat under any flood, and nothing waits without a
deadline. Standard library only (and pexpect, in holder_child): this process must stay under 10 MB.
"""

from __future__ import annotations

import binascii
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from shared.process import ProcessId, send_signal
from supervisor.holder import lock, process_tree
from supervisor.holder.child import Child, Size, exit_of
from supervisor.holder.connection import Connection
from supervisor.holder.errors import StartError
from supervisor.holder.files import EXIT, write_json
from supervisor.holder.input_queue import Keyboard, Reply
from supervisor.holder.listener import listen
from supervisor.holder.protocol import MAX_WRITE
from supervisor.holder.ring import Ring
from supervisor.holder.service import Refused, Service

_IDLE_LOOK = 5.0
_REOPEN_LOOK = 0.1
_MEMBERS_GRACE = 2.0
_TERMINATE_GRACE = 2.0
_LAST_WORDS = 1.0
_LAST_OUTPUT = 1 << 20
_MAX_TIMEOUT = 600.0
_MAX_LOGGED = 100
_AFTER_A_BUG = 0.05
_MAX_LOCKS = 8
_NEVER = float("inf")


class Holder:
    """Runs until the child and its tree are gone and the clients know it."""

    def __init__(
        self,
        folder: str,
        info: dict[str, Any],
        child: Child,
        ring: Ring,
        listener: socket.socket,
        locks: dict[str, int],
    ) -> None:
        self._folder = folder
        self._locks = locks
        self._info = info
        self._child = child
        self._ring = ring
        self._keyboard = Keyboard(child.fd)
        self._tree = process_tree.Tree(ProcessId(info["pid"], info["start_time"]), child.id)
        self._ladder: process_tree.Ladder | None = None
        self._exit: dict[str, Any] | None = None
        self._stopped = False
        self._reading = False
        self._reopen_at = _NEVER
        self._leave_at = _NEVER
        self._found_at = time.monotonic()
        self._lost_said = False
        self._bugs = 0
        # kqueue and poll are unreliable on terminals on macOS; select is enough for twenty descriptors.
        self._selector = selectors.SelectSelector() if sys.platform == "darwin" else selectors.DefaultSelector()
        operations = {
            "hello": self._hello,
            "subscribe": self._subscribe,
            "write": self._write,
            "resize": self._resize,
            "signal": self._signal,
            "lock": self._lock,
            "stat": self._stat,
            "stop": self._stop,
        }
        self._service = Service(self._selector, listener, ring, operations)
        wakeups = _catch_signals()
        self._selector.register(wakeups, selectors.EVENT_READ, lambda _: self._signalled(wakeups))
        self._watch_terminal(True)

    def run(self) -> None:
        self._guarded(self._reap)
        while not self._may_leave(time.monotonic()):
            for key, events in self._selector.select(self._patience(time.monotonic())):
                self._guarded(key.data, events)
            self._guarded(self._tick)

    def _guarded(self, action: Callable[..., None], *args: Any) -> None:
        """The boundary of the process: a bug is logged, and must not cost a running child its terminal."""
        try:
            action(*args)
        except Exception:
            self._bugs += 1
            if self._bugs <= _MAX_LOGGED:
                sys.excepthook(*sys.exc_info())
            time.sleep(_AFTER_A_BUG)

    def _signalled(self, wakeups: int) -> None:
        numbers = os.read(wakeups, 4096)
        self._reap()
        if signal.SIGTERM in numbers:
            self._climb(process_tree.hasty(_TERMINATE_GRACE), _TERMINATE_GRACE)

    def _patience(self, now: float) -> float:
        look = self._ladder.next_look if self._ladder else _NEVER
        due = min(now + _IDLE_LOOK, self._keyboard.next_try(now), self._reopen_at, self._leave_at, look)
        return max(0.0, due - now)

    def _tick(self) -> None:
        now = time.monotonic()
        self._keyboard.pump(now)
        if now >= self._reopen_at:
            self._read_terminal()
            if self._child.tty_closed and not self._exit:
                self._keyboard.close("tty_closed")
        if self._ladder and now >= self._ladder.next_look:
            left = self._ladder.look(now)
            if self._exit and (self._ladder.exhausted or not left):
                self._tell(now)
        self._service.pump()
        if now >= self._found_at + _IDLE_LOOK and not self._exit:
            self._found_at = now
            self._stay_reachable()

    def _stay_reachable(self) -> None:
        """A socket whose file was removed (a cleaner of temporary folders, a logout) is bound anew, or a supervisor that
        restarts would never find its way here."""
        if self._service.found:
            return
        try:
            self._service.listen_again(listen(self._info["socket"]))
            self._lost_said = False
        except (OSError, StartError) as error:
            if not self._lost_said:
                print(f"the socket cannot be bound anew, which is tried again: {error}", file=sys.stderr)
            self._lost_said = True

    def _may_leave(self, now: float) -> bool:
        return now >= self._leave_at or (self._leave_at < _NEVER and self._service.drained)

    def _climb(self, steps: list[process_tree.Step], grace: float) -> None:
        now = time.monotonic()
        if self._ladder:
            self._ladder.shorten(grace, now)
        elif not self._exit:
            self._ladder = process_tree.Ladder(self._tree, steps, now)

    # The terminal and the child.

    def _read_terminal(self) -> None:
        if data := self._child.read():
            self._ring.append(data)
        self._watch_terminal(not self._child.tty_closed)

    def _watch_terminal(self, is_open: bool) -> None:
        """A terminal that nobody has open reports a hang-up for ever; the child may still open it again.

        What is to be typed waits for the second look: an exit closes the terminal just before it is reported.
        """
        if is_open and not self._reading:
            self._selector.register(self._child.fd, selectors.EVENT_READ, lambda _: self._read_terminal())
            if not self._exit:
                self._keyboard.open()
        elif not is_open and self._reading:
            self._selector.unregister(self._child.fd)
            self._keyboard.paused = True
        self._reading = is_open
        self._reopen_at = _NEVER if is_open else time.monotonic() + _REOPEN_LOOK

    def _reap(self) -> None:
        if not self._exit:
            self._tree.before_reaping()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child.id.pid and not self._exit:
                if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                    self._stopped = os.WIFSTOPPED(status)
                else:
                    self._child_exited(status)

    def _child_exited(self, status: int) -> None:
        limit = self._ring.end + _LAST_OUTPUT  # more than a pty holds: beyond it others are printing
        while self._ring.end < limit and (data := self._child.read()):
            self._ring.append(data)
        self._exit = {
            **exit_of(status),
            "at": time.time(),
            "child": self._info["child"],
            "error": None,
            "output_end": self._ring.end,
        }
        self._guarded(lambda: write_json(os.path.join(self._folder, EXIT), self._exit, sync=True))
        self._keyboard.close("exited")
        self._ladder = process_tree.Ladder(self._tree, process_tree.without_child(_MEMBERS_GRACE), time.monotonic())

    def _tell(self, now: float) -> None:
        self._ladder = None
        self._read_terminal()
        self._watch_terminal(False)
        self._reopen_at = _NEVER
        self._leave_at = now + _LAST_WORDS
        self._service.part({"event": "exit", **(self._exit or {})})

    # The operations; `reply` is called once by each, now or later.

    def _hello(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        reply({**self._info, **self._measures()})

    def _subscribe(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        reply({"offset": connection.subscribe(int(request["offset"]))})

    def _write(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        id, timeout = request["id"], float(request["timeout"])
        data = binascii.a2b_base64(request["data"])
        if not isinstance(id, str) or not 1 <= len(id) <= 200 or not 0 < timeout <= _MAX_TIMEOUT:
            raise ValueError("id or timeout out of range")
        if len(data) > MAX_WRITE:
            raise Refused("too_large", f"a write holds at most {MAX_WRITE} bytes")
        self._keyboard.submit(id, data, timeout, reply, time.monotonic())

    def _resize(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        reply(self._child.resize(Size(int(request["cols"]), int(request["rows"])))._asdict())

    def _signal(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        number, scope = int(request["signal"]), request["scope"]
        if number not in signal.valid_signals() or scope not in ("child", "group", "tree"):
            raise ValueError("no such signal or scope")
        if self._exit:
            raise Refused("exited", "the child has exited")
        if scope == "tree":
            reply({"signalled": sum(send_signal(process, number) for process in self._tree.members())})
            return
        try:
            # Not reaped, so the pid, and the group that it leads, are still its own.
            (os.kill if scope == "child" else os.killpg)(self._child.id.pid, number)
        except (ProcessLookupError, PermissionError) as error:
            raise Refused("not_signalled", str(error)) from error
        reply({"signalled": 1})

    def _lock(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        paths = [str(path) for path in request["paths"]]
        if len(paths) > _MAX_LOCKS or not all(map(os.path.isabs, paths)):
            raise ValueError("too many locks, or a path that is not absolute")
        taken: dict[str, int] = {}
        try:
            for path in paths:
                if path not in self._locks and path not in taken:
                    taken[path] = lock.take(path)
                    lock.mark(taken[path], self._child.id)
        except StartError as error:
            for fd in taken.values():
                lock.release(fd)
            raise Refused(str(error.report["code"]), str(error.report["message"])) from error
        for path in set(self._locks) - set(paths):
            lock.release(self._locks.pop(path))
        self._locks |= taken
        reply({"locks": sorted(self._locks)})

    def _stat(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        facts = {
            "state": "exited" if self._exit else "stopped" if self._stopped else "running",
            "exit": self._exit,
            "tty_closed": self._child.tty_closed,
            "stopping": self._ladder is not None,
            "pending_writes": self._keyboard.pending,
            "clients": self._service.clients,
        }
        reply({**facts, **self._measures()})

    def _stop(self, connection: Connection, request: dict[str, Any], reply: Reply) -> None:
        grace = float(request["grace"])
        if not 0 <= grace <= _MAX_TIMEOUT:
            raise ValueError("grace out of range")
        self._climb(process_tree.polite(grace), grace)
        reply({})

    def _measures(self) -> dict[str, int]:
        return {**self._child.size._asdict(), "ring_start": self._ring.start, "ring_end": self._ring.end}


def _catch_signals() -> int:
    """The descriptor from which the numbers of the signals that arrive can be read."""
    wakeups, wake = os.pipe()
    os.set_blocking(wakeups, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return wakeups
