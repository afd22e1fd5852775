"""Structured logs: one JSON object a line, rotated by size, in the words of the state table, without secrets or texts."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from shared import logs
from shared.config import LogConfig


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """`event` is the message; its fields stand beside it."""
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def open_log(name: str, folder: Path, config: LogConfig) -> logging.Logger:
    """The log of one process, apart from whatever libraries log. Raise OSError when its file cannot be opened."""
    log = logging.getLogger(f"pilotlight.{name}")
    log.setLevel(config.level.upper())
    log.propagate = False
    for handler in logs.handlers(name, folder, config, JsonLines()):
        log.addHandler(handler)
    return log
