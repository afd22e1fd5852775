"""The socket on which a holder is found: in a directory that nobody else can enter, under a name of its own.

What must not regress: a socket is never where others could reach it, and one whose file is gone can be bound again.
Standard library only: the holder imports this.
"""

from __future__ import annotations

import os
import socket

from supervisor.holder import files
from supervisor.holder.errors import StartError

_MAX_SOCKET_PATH = 103
_BACKLOG = 16


def listen(path: str) -> socket.socket:
    """Replaces a socket that a dead holder left: the locks say that nobody serves it."""
    folder = os.path.dirname(path)
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise StartError("bad_socket", f"the socket's path is longer than {_MAX_SOCKET_PATH} bytes: {path}", path)
    before = os.umask(0o077)
    try:
        os.makedirs(folder, exist_ok=True)
    finally:
        os.umask(before)
    facts = os.stat(folder)
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise StartError("bad_socket", f"the socket's directory must be ours and have mode 0700: {folder}", folder)
    files.remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
