"""The tiny process that keeps one terminal and one child: it always reads and never decides.

    python -I <here>/supervisor/holder.py SESSION_DIR    (or `-`: wait for it on standard input, see terminal/holder_launch.py)

It leaves its starter's process session, so neither launchd nor systemd nor a dying supervisor takes it along; takes the
locks that make it the only one for its session and its transcript; then listens, spawns what `spawn.json` says, writes
`holder.json`, and reports one JSON line to the descriptor named by PILOTLIGHT_READY_FD: what holder.json says, or
`{"error": {"code", "message", "path"?}}`. What must not regress: two holders never run for one lock, a child is never
started by a holder that cannot serve it, and the process stays under 10 MB with all that it imports.

| file in SESSION_DIR | says |
| --- | --- |
| `spawn.json` (read) | `argv`, `env` (all of it), `cwd`, `cols`, `rows`, `ring_bytes`, `socket`, `locks` |
| `holder.json` | `protocol`, `pid`, `start_time`, `child`: {`pid`, `start_time`}, `started_at`, `socket`, `argv0` |
| `exit.json` | `exit_status`, `signal`, `at`, `child`, `error`, `output_end`; or the `error` that prevented the start |
| `ring` | the recent output (ring.py); outlives the holder |
| `holder.lock`, `holder.log` | taken while it lives; what went wrong inside it |

The protocol on the socket is in holder/protocol.py, the work itself in holder/loop.py.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import json
import signal
import time
from typing import Any, NamedTuple

from shared.process import send_signal, start_time
from supervisor.holder import files
from supervisor.holder import lock as holder_lock
from supervisor.holder.child import Child, Size, spawn
from supervisor.holder.errors import StartError
from supervisor.holder.listener import listen
from supervisor.holder.loop import Holder
from supervisor.holder.process_tree import adopt_orphans
from supervisor.holder.protocol import PROTOCOL, READY_FD
from supervisor.holder.ring import Ring

_MAX_RING = 64 << 20


class Spec(NamedTuple):
    argv: list[str]
    env: dict[str, str]
    cwd: str
    size: Size
    ring_bytes: int
    socket: str
    locks: list[str]


def main(folder: str) -> None:
    ready = int(os.environ.get(READY_FD, "-1"))
    detach(os.path.join(folder, files.LOG), ready)
    try:
        holder, info = prepare(folder)
    except StartError as error:
        report(ready, {"error": error.report})
        os._exit(os.EX_CANTCREAT)
    report(ready, info)
    holder.run()
    files.remove(info["socket"])
    os._exit(os.EX_OK)  # nothing may be finalised: a collected pexpect object would try to end its child


def folder_of(argument: str) -> str:
    """The folder that the command line names. `-`: a spare, whose folder comes on standard input; when nothing comes, its
    starter is gone and it is not needed any more."""
    if argument != "-":
        return os.path.abspath(argument)
    told = b""
    while not told.endswith(b"\n"):
        more = os.read(0, 4096)
        if not more:
            os._exit(os.EX_OK)
        told += more
    return os.fsdecode(told[:-1])


def detach(log: str, ready: int) -> None:
    """A process session of its own, under init, deaf to its starter's terminal, with no descriptor but `ready`."""
    if os.fork():
        os._exit(os.EX_OK)
    os.setsid()
    if os.fork():
        os._exit(os.EX_OK)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for fd, target in enumerate((nothing, nothing, errors)):
        os.dup2(target, fd)
    limit = min(os.sysconf("SC_OPEN_MAX"), 65536)
    if ready > 2:
        os.set_inheritable(ready, False)
        os.closerange(3, ready)
    os.closerange(max(3, ready + 1), limit)


def report(ready: int, message: dict[str, Any]) -> None:
    """Whoever started the holder may be gone; the files say the same."""
    if ready > 2:
        try:
            os.write(ready, json.dumps(message).encode() + b"\n")
            os.close(ready)
        except OSError:
            pass


def prepare(folder: str) -> tuple[Holder, dict[str, Any]]:
    """The running child with all that serves it; StartError, also on disk, if there is none."""
    own = holder_lock.take(os.path.join(folder, files.LOCK))
    try:
        for name in (files.INFO, files.EXIT):
            files.remove(os.path.join(folder, name))
        spec = read_spec(os.path.join(folder, files.SPAWN))
        locks = {path: holder_lock.take(path) for path in spec.locks}
        return start(folder, spec, own, locks)
    except StartError as error:
        record_failure(folder, error)
        raise
    except OSError as error:
        failure = StartError("spawn_failed", str(error), str(error.filename) if error.filename else None)
        record_failure(folder, failure)
        raise failure from error


def start(folder: str, spec: Spec, own: int, locks: dict[str, int]) -> tuple[Holder, dict[str, Any]]:
    listener = listen(spec.socket)
    child: Child | None = None
    try:
        ring = Ring.create(os.path.join(folder, files.RING), spec.ring_bytes)
        adopt_orphans()
        child = spawn(spec.argv, spec.env, spec.cwd, spec.size)
        for lock in (own, *locks.values()):
            holder_lock.mark(lock, child.id)
        info = {
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "start_time": start_time(os.getpid()),
            "child": child.id._asdict(),
            "started_at": time.time(),
            "socket": spec.socket,
            "argv0": spec.argv[0],
        }
        files.write_json(os.path.join(folder, files.INFO), info)
    except (StartError, OSError):
        if child is not None:
            send_signal(child.id, signal.SIGKILL)  # a child that cannot be found again must not run
        files.remove(spec.socket)
        raise
    return Holder(folder, info, child, ring, listener, locks), info


def read_spec(path: str) -> Spec:
    try:
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
        spec = Spec(
            argv=[str(word) for word in given["argv"]],
            env={str(name): str(value) for name, value in given["env"].items()},
            cwd=str(given["cwd"]),
            size=Size(int(given["cols"]), int(given["rows"])),
            ring_bytes=int(given["ring_bytes"]),
            socket=str(given["socket"]),
            locks=[str(lock) for lock in given["locks"]],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StartError("bad_spec", f"cannot use {path}: {type(error).__name__}: {error}", path) from error
    words = [*spec.argv, spec.cwd, *spec.env, *spec.env.values()]
    unusable = any("\0" in word for word in words) or any("=" in name for name in spec.env)
    if unusable or not spec.argv or not spec.argv[0]:
        raise StartError("bad_spec", "an empty program, or a NUL or = where there can be none", path)
    if not all(os.path.isabs(name) for name in (spec.cwd, spec.socket, *spec.locks)) or spec.ring_bytes > _MAX_RING:
        raise StartError("bad_spec", "a path that is not absolute, or a ring over 64 MiB", path)
    return spec


def record_failure(folder: str, error: StartError) -> None:
    outcome = {"exit_status": None, "signal": None, "at": time.time(), "child": None, "output_end": 0}
    try:
        files.write_json(os.path.join(folder, files.EXIT), {**outcome, "error": error.report}, sync=True)
    except OSError as failure:
        print(f"exit.json cannot be written: {failure}", file=sys.stderr)


if __name__ == "__main__":
    main(folder_of(sys.argv[1]))
