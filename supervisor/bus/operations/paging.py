"""Pages of a list: where one ends, and where the next begins.

A row's place is a number and a text, by which the list is sorted. What must not regress: the next page is found by the place of
the last row and not by counting, so that what comes or goes meanwhile makes no row be told twice or left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.errors import InvalidRequest

MOST = 1000
Place = tuple[int, str]
_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9A-Za-z_-]{0,100})")
T = TypeVar("T")


def place_of(after: str | None) -> Place | None:
    """The place that a cursor names. Raise InvalidRequest when it is none."""
    if after is None:
        return None
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise InvalidRequest("`after` must be the `next` of the page before.", code="invalid_cursor")
    return int(found[1]), found[2]


def cursor(place: Place) -> str:
    """How clients get to know a place."""
    return f"{place[0]}.{place[1]}"


def check_limit(limit: int | None) -> None:
    """Raise InvalidRequest when a page cannot have so many rows."""
    if limit is not None and not 1 <= limit <= MOST:
        raise InvalidRequest(f"`limit` must be between 1 and {MOST}.", code="invalid_limit")


def page(
    rows: Sequence[T], place: Callable[[T], Place], after: str | None, limit: int | None
) -> tuple[list[T], str | None]:
    """The rows behind `after`, at most `limit` (None: all), in the order of their places, and what leads to those behind them."""
    check_limit(limit)
    since = place_of(after)
    found = sorted(rows, key=place)
    if since is not None:
        found = [row for row in found if place(row) > since]
    if limit is None or len(found) <= limit:
        return found, None
    return found[:limit], cursor(place(found[limit - 1]))
