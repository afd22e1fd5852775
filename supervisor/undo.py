"""Memory that follows the database: what could not be stored is taken back in memory, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def undone_on_failure(*records: Any) -> Iterator[None]:
    """What the database refused to keep must not stay in memory as if it were kept."""
    before = [dict(vars(record)) for record in records]
    try:
        yield
    except BaseException:
        for record, was in zip(records, before, strict=True):
            vars(record).update(was)
        raise
