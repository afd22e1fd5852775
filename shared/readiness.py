"""What a service manager is told about a daemon: systemd waits for it with `Type=notify`; launchd does not ask."""

from __future__ import annotations

import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def watchdog_seconds() -> float | None:
    """How often systemd wants to be told that we are alive (sd_watchdog_enabled(3)), at the latest; None: it does not."""
    try:
        seconds = int(os.environ.get("WATCHDOG_USEC", "")) / 1_000_000
        meant = int(os.environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except ValueError:
        return None
    return seconds if meant and seconds > 0 else None


def announced() -> bool:
    """Whether systemd started us, and hears what we say."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


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
