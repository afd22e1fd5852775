"""A disk that refuses a write."""

from __future__ import annotations

from typing import Any

from shared.errors import StorageFailed
from supervisor.store.sqlite import Connection


class Refusing:
    """A disk that refuses one write: the one at `at`, counted from 1. 0: none."""

    def __init__(self) -> None:
        self.at = self.seen = 0
        self._execute = Connection.execute

    def execute(self, connection: Connection, sql: str, values: Any = ()) -> Any:
        if self.at and sql.split()[0] in ("INSERT", "UPDATE", "DELETE", "COMMIT", "BEGIN"):
            self.seen += 1
            if self.seen == self.at:
                raise StorageFailed("The disk is full.")
        return self._execute(connection, sql, values)
