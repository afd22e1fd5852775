"""The log of a daemon: one JSON object a line, rotated by size, in the words of the state table, without secrets or texts.

A service manager appends standard error to a file that nobody rotates, so only what somebody should look at goes there;
at a terminal all of it does. Only the process that holds the lock of this name may open the file: two that rotate the same
file would rename it under each other. What must not regress: a token, a prompt or a reply is in no line.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import time
import traceback
from pathlib import Path

from shared.config import LogConfig


class JsonLines(logging.Formatter):
    """One object a line: `event` is the message, and `extra={"fields": {...}}` stands beside it. `texts`: whether an
    exception's own text is kept; where it may hold what a person wrote, only its name and the trace are."""

    def __init__(self, texts: bool = False) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """The line for this record; `at` is UTC with milliseconds."""
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            trace = self.formatException(record.exc_info) if self._texts else _trace(record.exc_info)
            line["trace"] = trace
        return json.dumps(line, default=str, ensure_ascii=False)


def open_log(name: str, folder: Path, config: LogConfig) -> logging.Logger:
    """The log of one process, apart from whatever libraries log. Raise OSError when its file cannot be opened."""
    log = logging.getLogger(f"pilotlight.{name}")
    log.setLevel(config.level.upper())
    log.propagate = False
    for handler in _handlers(name, folder, config, JsonLines(texts=True)):
        log.addHandler(handler)
    return log


def log_everything(name: str, folder: Path, config: LogConfig) -> None:
    """Send everything of this process, libraries included, to `<name>.log`. Raise OSError when it cannot be opened."""
    logging.basicConfig(level=config.level.upper(), handlers=_handlers(name, folder, config, JsonLines()), force=True)


def _handlers(name: str, folder: Path, config: LogConfig, lines: logging.Formatter) -> list[logging.Handler]:
    file = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=int(config.max_mb * 1024 * 1024), backupCount=config.keep_files
    )
    errors = logging.StreamHandler()
    errors.setLevel(logging.NOTSET if sys.stderr.isatty() else logging.ERROR)
    for handler in (file, errors):
        handler.setFormatter(lines)
    return [file, errors]


def _trace(raised: tuple[object, ...]) -> str:
    return "".join(traceback.format_tb(raised[2]))  # type: ignore[arg-type]
