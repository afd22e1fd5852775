"""What can be seen of a connection without waiting for it."""

from __future__ import annotations

import select
import socket


def readable(connection: socket.socket) -> bool:
    """Whether something has come, or the other end has closed. Not `select`, which knows no descriptor above 1023, and an API
    that serves many has those. Raise OSError or ValueError when it is closed here."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
