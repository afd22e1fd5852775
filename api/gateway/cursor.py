"""Where a reader of many journals stands: `n1:<epoch>:123,n2:<epoch>:77`, one place for each node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from api.gateway.ids import NAME
from shared.errors import InvalidRequest

_PLACE = re.compile(rf"(?P<node>{NAME}):(?:(?P<epoch>[0-9A-Za-z_-]+):)?(?P<seq>[0-9]{{1,18}})")


@dataclass(frozen=True)
class Place:
    """Everything of a node up to `seq` in the journal `epoch` (None: of whichever it has). `loose`: what comes next may have any
    number, because a gap was declared."""

    seq: int
    epoch: str | None = None
    loose: bool = False


def parse(text: str, field: str) -> dict[str, Place]:
    """The places of a cursor. Raise InvalidRequest."""
    places: dict[str, Place] = {}
    for part in text.split(","):
        match = _PLACE.fullmatch(part.strip())
        if match is None:
            raise InvalidRequest(
                f"`{field}` must be the id of an event of this gateway, such as n1:123,n2:77.", data={"field": field}
            )
        places[match["node"]] = Place(int(match["seq"]), match["epoch"])
    return places


def text(places: Mapping[str, Place]) -> str:
    """The same as it stands in an id."""
    return ",".join(
        f"{node}:{f'{place.epoch}:' if place.epoch else ''}{place.seq}" for node, place in sorted(places.items())
    )


def further(pages: Mapping[str, str]) -> str | None:
    """The place behind a page of a list that has pages at these nodes; None at its end."""
    return ",".join(f"{node}:{page}" for node, page in sorted(pages.items())) or None


def pages(text: str | None) -> dict[str, str] | None:
    """The same read back: what each node said was its own. Raise InvalidRequest."""
    if text is None:
        return None
    found = {name: page for name, mark, page in (part.partition(":") for part in text.split(",")) if mark and page}
    if not found or any(re.fullmatch(NAME, name) is None for name in found):
        raise InvalidRequest("`after` must be the `next` of the page before.", data={"field": "after"})
    return found
