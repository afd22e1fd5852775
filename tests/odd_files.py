"""What may stand where a file is expected: a pipe, a link, a socket, a folder, a file of nothing but a hole."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

SPARSE = 3 << 29


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("{}")
    path.symlink_to(elsewhere)


def plug(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


def folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE)


ODD: list[Callable[[Path], None]] = [pipe, link, plug, folder]
