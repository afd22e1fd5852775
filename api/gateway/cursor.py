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
