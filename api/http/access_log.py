"""Log lines as JSON objects: an event's name and its fields, never a token, a prompt or a reply."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, g, request

from shared import logs
from shared.config import LogConfig

_QUIET = frozenset({"/health", "/metrics"})
_access = logging.getLogger("pilotlight.api.access")


class JsonLines(logging.Formatter):
    """One object a line; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for this record. A trace is kept, the exception's own text is not."""
        line: dict[str, Any] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = "".join(traceback.format_tb(record.exc_info[2]))
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(name: str, folder: Path, config: LogConfig) -> None:
    """Send everything of this process, libraries included, to `<name>.log`. Raise OSError when it cannot be opened."""
    logging.basicConfig(
        level=config.level.upper(), handlers=logs.handlers(name, folder, config, JsonLines()), force=True
    )


def access_log(app: Flask) -> None:
    """One line a request: what was asked, without its query string, and how it went."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def log(response: Response) -> Response:
        level = logging.DEBUG if request.path in _QUIET and response.status_code < 400 else logging.INFO
        if _access.isEnabledFor(level):
            fields = {
                "method": request.method,
                "path": request.path[:200],
                "status": response.status_code,
                "ms": round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
                "client": request.remote_addr,
            }
            if g.get("request_id"):
                fields["requestId"] = g.request_id
            _access.log(level, "request", extra={"fields": fields})
        return response
