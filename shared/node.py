"""Which pilotlight this is: an id that stays, a name for people, and the epoch of its journal.

The supervisor writes all three into `node.json` in the home at its start; everybody else reads them there, so the API can name
its node on every answer without asking, and also when the supervisor is down. The id is not in the database: it survives one
that is lost, which the epoch does not. What must not regress: an id, once made, is never made again for the same home.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from pathlib import Path

import msgspec

from shared.errors import StorageFailed
from shared.foreign_file import SMALL, read_foreign

NAME = "node.json"
NODE_HEADER, EPOCH_HEADER = "Pilotlight-Node", "Pilotlight-Epoch"
"""On every HTTP response, once there is a node."""


class Node(msgspec.Struct, frozen=True):
    """`id` is random and fit for a header; `name` is anybody's text; `epoch` names the journal (empty before the first one)."""

    id: str
    name: str
    epoch: str = ""


def read(home: Path) -> Node | None:
    """The node of this home; None before the first start of its supervisor, or when what is there cannot be read."""
    try:
        return msgspec.json.decode(read_foreign(home / NAME, SMALL), type=Node)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def establish(home: Path, name: str | None, epoch: str) -> Node:
    """The node of this home from now on, called `name` or like the host; made if there is none. For the supervisor only.
    Raise StorageFailed."""
    known = read(home)
    node = Node(known.id if known is not None else secrets.token_hex(8), name or host_name(), epoch)
    if node != known:
        try:
            _write(home / NAME, msgspec.json.encode(node))
        except OSError as error:
            raise StorageFailed(f"{home / NAME} cannot be written: {error.strerror}.") from error
    return node


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname() or "localhost"


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)


class NodeFile:
    """The node of a home, read again when it was written again. Safe from every thread."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._node: Node | None = None

    def now(self) -> Node | None:
        """As the supervisor has written it last; None when it never has."""
        try:
            found = os.stat(self._home / NAME)
        except OSError:
            return None
        with self._lock:
            if (found.st_ino, found.st_mtime_ns) != self._seen:
                self._seen, self._node = (found.st_ino, found.st_mtime_ns), read(self._home)
            return self._node
