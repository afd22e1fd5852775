"""Another user of this machine who was at a run directory first: with a lock that names a process, and ears at every socket.

As root it really is another user (a forked process that has changed its uid). Nobody else can become one: there the
directory is a link to one of root's, which is as foreign, but has no bait in it.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import selectors
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from shared.paths import Paths
from tests.harness import PATIENCE

UID = 65534
IS_ROOT = os.getuid() == 0


class Squatter:
    """What the other user has, and has heard."""

    def __init__(self, victim: subprocess.Popen[bytes], ears: Connection | None) -> None:
        self.victim = victim
        self._ears = ears

    def heard(self) -> bytes:
        """Everything that came to a socket of theirs; a connection alone is a `!`."""
        said = b""
        while self._ears is not None and self._ears.poll(0.2):
            said += self._ears.recv_bytes()
        return said


@contextmanager
def squatting(paths: Paths) -> Iterator[Squatter]:
    """The run directory of these paths is another user's."""
    with subprocess.Popen(["sleep", "600"]) as victim:
        child = None
        try:
            if IS_ROOT:
                ears, mouth = multiprocessing.Pipe(duplex=False)
                child = multiprocessing.get_context("fork").Process(target=_squat, args=(paths, victim.pid, mouth))
                child.start()
                assert ears.poll(PATIENCE)
                assert ears.recv_bytes() == b"ready"
                yield Squatter(victim, ears)
            else:
                paths.run_dir.symlink_to("/usr")
                yield Squatter(victim, None)
        finally:
            victim.kill()
            if child is not None:
                child.kill()
                child.join()
                subprocess.run(["rm", "-rf", paths.run_dir], check=True)
            else:
                paths.run_dir.unlink(missing_ok=True)


def _squat(paths: Paths, victim: int, mouth: Connection) -> None:
    os.setgroups([])
    os.setgid(UID)
    os.setuid(UID)
    os.umask(0)
    os.makedirs(paths.run_dir / "h", mode=0o777)
    content = {"pid": victim, "startedAt": 0, "version": "0", "url": "http://127.0.0.1:9"}
    kept = []
    for lock in (paths.supervisor_lock, paths.api_lock, paths.further_api_lock(9)):
        lock.write_text(json.dumps(content))
        kept.append(lock.open())
        fcntl.flock(kept[-1], fcntl.LOCK_EX)
    stat = Path(f"/proc/{victim}/stat")
    if stat.exists():
        (paths.run_dir / "up.json").write_text(json.dumps([victim, int(stat.read_text().rsplit(")")[1].split()[19])]))
    selector = selectors.DefaultSelector()
    for name in ("bus.sock", "events.sock", "terminal.sock", "h/0123456789ab.sock"):
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        ear.bind(str(paths.run_dir / name))
        ear.listen()
        selector.register(ear, selectors.EVENT_READ, "ear")
    mouth.send_bytes(b"ready")
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if key.data == "ear":
                connection, _ = key.fileobj.accept()
                # What ZeroMQ says first, so that whoever speaks it goes on.
                connection.send(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL" + bytes(48))
                selector.register(connection, selectors.EVENT_READ, "said")
                mouth.send_bytes(b"!")
            elif said := key.fileobj.recv(65536):
                mouth.send_bytes(said)
            else:
                selector.unregister(key.fileobj)
