"""Where a daemon's log lines go: a file that rotates by size, and standard error for what cannot wait for a reader.

A service manager appends standard error to a file that nobody rotates, so only what somebody should look at goes there;
at a terminal all of it does. Only the process that holds the lock of this name may open the file: two that rotate the same
file would rename it under each other.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from shared.config import LogConfig


def handlers(name: str, folder: Path, config: LogConfig, lines: logging.Formatter) -> list[logging.Handler]:
    """The file `<name>.log` in `folder`, and standard error. Raise OSError when the file cannot be opened."""
    file = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=int(config.max_mb * 1024 * 1024), backupCount=config.keep_files
    )
    errors = logging.StreamHandler()
    errors.setLevel(logging.NOTSET if sys.stderr.isatty() else logging.ERROR)
    for handler in (file, errors):
        handler.setFormatter(lines)
    return [file, errors]
