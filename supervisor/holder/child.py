"""The child and its terminal: spawning through pexpect, reading without waiting, resizing.

pexpect starts the child and owns the pty; the holder reads and writes the descriptor itself, because pexpect's own
reading waits, reaps the child and loses its exit status, and its `sendline` sleeps (failures.md 24). What must not
regress: the `spawn` object stays referenced (a collected one kills its child), the child starts with default signals
and exactly the given environment, and a start that fails says why.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import Any, NamedTuple

import pexpect

from shared.frames import CHUNK
from shared.process import ProcessId, start_time
from supervisor.holder.errors import StartError
from supervisor.holder.process_tree import die_with_parent
from supervisor.holder.protocol import COLS, ROWS

_INHERITED_AS_IGNORED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ,
    signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
_CODES = {errno.ENOENT: "not_found", errno.EACCES: "not_executable", errno.ENOEXEC: "not_executable"}
_NEEDS_ESCAPE = " \t\n\r\v\f'\"\\"


class Size(NamedTuple):
    cols: int
    rows: int

    def clamped(self) -> Size:
        return Size(min(max(self.cols, COLS[0]), COLS[1]), min(max(self.rows, ROWS[0]), ROWS[1]))


class Child:
    """A running child on a pty of its own."""

    def __init__(self, process: pexpect.spawn[Any], size: Size) -> None:
        assert process.pid is not None
        self._process = process
        self._buffer = memoryview(bytearray(CHUNK))
        self.fd: int = process.child_fd
        self.size = size
        self.tty_closed = False
        # Not reaped yet, so its start time can be read even if it has already exited.
        self.id = ProcessId(process.pid, start_time(process.pid) or 0)
        os.set_blocking(self.fd, False)

    def read(self) -> memoryview:
        """What there is to read now, valid until the next call; `tty_closed` is then whether nobody has it open."""
        filled = 0
        while filled < CHUNK:
            try:
                count = os.readv(self.fd, [self._buffer[filled:]])
            except BlockingIOError:
                self.tty_closed = False
                break
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                count = 0
            self.tty_closed = count == 0
            if count == 0:
                break
            filled += count
        return self._buffer[:filled]

    def resize(self, size: Size) -> Size:
        size = size.clamped()
        self._process.setwinsize(size.rows, size.cols)
        self.size = size
        return size


def spawn(argv: list[str], env: dict[str, str], cwd: str, size: Size) -> Child:
    """StartError unless the child's program has replaced the fork."""
    if not os.path.isdir(cwd) or not os.access(cwd, os.X_OK):
        raise StartError("bad_cwd", f"the working directory cannot be entered: {cwd}", cwd)
    path = resolve(argv[0], env, cwd)
    size = size.clamped()
    parent = os.getpid()
    # With no arguments pexpect would split the command at its spaces.
    command = path if len(argv) > 1 else "".join(f"\\{c}" if c in _NEEDS_ESCAPE else c for c in path)
    try:
        process = pexpect.spawn(
            command, argv[1:], env=env, dimensions=(size.rows, size.cols), preexec_fn=lambda: _prepare(cwd)
        )
        return Child(process, size)
    except NotADirectoryError as error:
        raise StartError("bad_cwd", str(error), cwd) from error
    except OSError as error:
        code = _CODES.get(error.errno or 0, "spawn_failed")
        raise StartError(code, str(error) or "the program could not be started", path) from error
    finally:
        if os.getpid() != parent:
            # The fork could not become the program and told nobody: it must not go on as a second holder.
            os._exit(os.EX_SOFTWARE)


def resolve(program: str, env: dict[str, str], cwd: str) -> str:
    """The file that `program` means to the child: in its own PATH and working directory, not the holder's."""
    if "/" in program:
        candidates = [os.path.join(cwd, program)]
    else:
        folders = (env.get("PATH") or os.defpath).split(os.pathsep)
        candidates = [os.path.join(cwd, folder, program) for folder in folders]
    existing = [path for path in candidates if os.path.exists(path)]
    if not existing:
        raise StartError("not_found", f"no such program: {program}", program)
    for path in existing:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise StartError("not_executable", f"not an executable file: {existing[0]}", existing[0])


def _prepare(cwd: str) -> None:
    for number in _INHERITED_AS_IGNORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent(signal.SIGHUP)
    try:
        os.chdir(cwd)
    except OSError as error:
        raise NotADirectoryError(f"the working directory cannot be entered: {error}") from error


def exit_of(status: int) -> dict[str, int | None]:
    """A wait status in the words of exit.json."""
    if os.WIFSIGNALED(status):
        return {"exit_status": None, "signal": os.WTERMSIG(status)}
    return {"exit_status": os.WEXITSTATUS(status), "signal": None}
