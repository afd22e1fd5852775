"""What runs, where it listens and what it says of itself, as plain data: for `status`, `up`, `down` and `doctor`.

What must not regress: it is whole even when nothing runs, and a supervisor that does not answer costs a few seconds at most.
"""

from __future__ import annotations

from typing import Any

from cli.context import App
from cli.daemons.processes import Daemon
from shared.errors import PilotlightError
from shared.node import read as read_node

_STATUS_SECONDS = 5.0


def look(app: App) -> dict[str, Any]:
    """The state of everything as plain data; whole even when nothing runs."""
    supervisor, daemon = Daemon(app, "supervisor").owner(), Daemon(app, "api")
    api, further = daemon.owner(), daemon.further()
    told: dict[str, Any] = {}
    error: str | None = None
    if supervisor is not None:
        try:
            told = app.call("status", timeout=_STATUS_SECONDS)
        except PilotlightError as failure:
            error = failure.message
    sessions, node = told.pop("sessions", []), read_node(app.paths.home)
    bus = {"requests": app.paths.request_address, "events": app.paths.event_address, "tcp": told.pop("busTcp", None)}
    return {
        "supervisor": {**told, "pid": supervisor and supervisor.pid, "responding": bool(told), "error": error},
        "api": {"pid": api and api.pid, "url": api and api.url, "version": api and api.version},
        "furtherApis": [{"pid": other.pid, "url": other.url, "version": other.version} for other in further],
        "sessions": sessions,
        "bus": bus,
        "node": node and {"id": node.id, "name": node.name, "epoch": node.epoch},
        "home": str(app.paths.home),
        "logs": str(app.paths.log_dir),
    }
