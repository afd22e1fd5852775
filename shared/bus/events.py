"""Every kind of event by its name, and how one is read; what each holds is a type of the modules below.

Whoever says something gives one of these types to the journal (`Store.append`), and whoever listens gets it back with `read`. To
add a kind: write its struct where its subject is and name it in `docs/bus.md`; a test holds the tables there against these
structs, kinds and fields. What must not regress: two kinds never share a name; what a newer pilotlight says is no error.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from shared.bus import message_events, service_events, session_events, trouble_events
from shared.bus.event_data import EventData
from shared.bus.messages import Event

KINDS: dict[str, type[EventData]] = {
    found.kind: found
    for module in (session_events, message_events, trouble_events, service_events)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, EventData) and found is not EventData
}
"""Every kind, by its name on the wire."""


def read(event: Event) -> EventData | None:
    """What an event says; None when its kind is not known, or an older or newer pilotlight said it in another form."""
    kind = KINDS.get(event.kind)
    if kind is None:
        return None
    try:
        return msgspec.convert(event.data, kind)
    except msgspec.ValidationError:
        return None


def members() -> dict[str, list[str]]:
    """The members of each kind's `data`, by their names on the wire; `?` is behind those that may be missing."""
    return {
        kind: [
            f"{known.encode_name}{'?' if known.default is UNSET else ''}" for known in msgspec.structs.fields(struct)
        ]
        for kind, struct in KINDS.items()
    }
