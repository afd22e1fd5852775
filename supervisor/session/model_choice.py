"""The model that a session is given: what was chosen for it here, or by a person with `/model`.

What must not regress: the model that is shown is the one of the next process, too; what the CLI falls back to by itself is no
choice; and a model that was chosen here for the next process is not undone by what the present one is told.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.bus import session_events
from supervisor.store.records import SessionRecord
from supervisor.store.store import Store

CHOSEN = ("command", "picker")
"""Where a person's choice comes from, in the words of the hook; the others are `sdk`, `auto` and `resume`."""


def follow(record: SessionRecord, store: Store, payload: dict[str, Any]) -> None:
    """The PostModelSwitch hook has told of another model; None was asked for with `/model default`, as Claude's settings say."""
    model = payload.get("requested_model", payload.get("to_model"))
    if (
        payload.get("source") not in CHOSEN
        or not isinstance(model, str | None)
        or record.process.awaits("model")
        or model == record.launch.model
    ):
        return
    record.launch = msgspec.structs.replace(record.launch, model=model)
    store.append(session_events.Updated(recycle=False, model=model), record.id)
