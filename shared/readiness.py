"""What a service manager is told about a daemon: systemd waits for it with `Type=notify`; launchd does not ask."""

from __future__ import annotations

import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(state: str) -> None:
    """Tell systemd, when it started us (sd_notify(3)); nobody is told otherwise."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
        try:
            messenger.connect("\0" + address[1:] if address.startswith("@") else address)
            messenger.send(state.encode())
        except OSError:
            pass
