"""What the `data` of every event has in common; the kinds are in `session_events`, `message_events`, `trouble_events` and
`service_events`.

What must not regress: a field that is left out (UNSET) is no member at all, which null is not.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct


class EventData(Struct, rename="camel", frozen=True, kw_only=True):
    """Base of all. `kind` is the event's, and the last part of its topic."""

    kind: ClassVar[str]


def data_of(event: EventData) -> dict[str, Any]:
    """As it stands in `Event.data`."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    return data
