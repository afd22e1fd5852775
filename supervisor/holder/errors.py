"""Why a holder could not start its child, for the one who asked. Standard library only: the holder imports this."""

from __future__ import annotations

from typing import Any


class StartError(Exception):
    """The child was not started; `code` is for programs."""

    def __init__(self, code: str, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.report: dict[str, Any] = {"code": code, "message": message}
        if path is not None:
            self.report["path"] = path
