"""Events of a session's life: its states, what is asked of a person, and people at its terminal.

What must not regress: the names on the wire are a contract, and stay; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType, field

from shared.bus.event_data import EventData


class Created(EventData, frozen=True, kw_only=True):
    """It was opened; `from` is the conversation that it resumes or forks."""

    kind: ClassVar[str] = "created"
    project_path: str
    from_: str | UnsetType = field(name="from", default=UNSET)


class Updated(EventData, frozen=True, kw_only=True):
    """Its settings were changed; `recycle`: it takes a new process for them. `mode` when a message asked for it."""

    kind: ClassVar[str] = "updated"
    recycle: bool
    mode: str | UnsetType | None = UNSET
    permission_mode: str | UnsetType = UNSET
    model: str | UnsetType | None = UNSET


class Extended(EventData, frozen=True, kw_only=True):
    """Its life was prolonged."""

    kind: ClassVar[str] = "extended"
    by: str


class StateChange(EventData, frozen=True, kw_only=True):
    """It went from one state to another. `generation` counts its processes (with `starting`), `waiting` is {id, for, title}."""

    kind: ClassVar[str] = "state"
    from_: str = field(name="from")
    to: str
    cause: str
    generation: int | UnsetType = UNSET
    waiting: dict[str, Any] | UnsetType = UNSET
    reason: str | UnsetType | None = UNSET
    detail: str | UnsetType | None = UNSET


class Ending(EventData, frozen=True, kw_only=True):
    """It has ended."""

    kind: ClassVar[str] = "ended"
    reason: str | None
    cause: str


class ExpiryWarning(EventData, frozen=True, kw_only=True):
    """It will expire."""

    kind: ClassVar[str] = "warning"
    expires_in_seconds: int
    reason: str


class Reopened(EventData, frozen=True, kw_only=True):
    """It was brought back from its transcript; `after` is the reason that it had ended for."""

    kind: ClassVar[str] = "reopened"
    by: str
    after: str | None


class Leaving(EventData, frozen=True, kw_only=True):
    """It is being moved to another node: it sleeps, and accepts nothing."""

    kind: ClassVar[str] = "leaving"
    move: str
    to: str
    by: str


class Staying(EventData, frozen=True, kw_only=True):
    """It is not moved after all."""

    kind: ClassVar[str] = "staying"
    move: str
    by: str


class Moved(EventData, frozen=True, kw_only=True):
    """It goes on elsewhere: `to` is `<node>~<id>`."""

    kind: ClassVar[str] = "moved"
    move: str
    to: str
    by: str


class Arrived(EventData, frozen=True, kw_only=True):
    """It was moved here, from the node `from`."""

    kind: ClassVar[str] = "arrived"
    move: str
    from_: str = field(name="from")
    by: str


class Adopted(EventData, frozen=True, kw_only=True):
    """A supervisor that started has found it alive."""

    kind: ClassVar[str] = "adopted"
    pid: int
    generation: int


class Crashed(EventData, frozen=True, kw_only=True):
    """Its process died, the `failures`-th time in a row; `then` is what follows. `last_words`: what stood on its screen
    about it, at most 600 characters."""

    kind: ClassVar[str] = "crashed"
    exit: str
    last_words: str = ""
    failures: int
    generation: int
    then: str


class Resumed(EventData, frozen=True, kw_only=True):
    """It is back after its process died."""

    kind: ClassVar[str] = "resumed"
    pid: int
    generation: int


class LateProcessEnded(EventData, frozen=True, kw_only=True):
    """A process that came up after its start had been given up was ended."""

    kind: ClassVar[str] = "late_process_ended"
    generation: int


class WaitingBegun(EventData, frozen=True, kw_only=True):
    """A person is asked something."""

    kind: ClassVar[str] = "waiting"
    for_: str = field(name="for")
    title: str
    id: str


class WaitingChanged(EventData, frozen=True, kw_only=True):
    """What is asked has changed while it is up."""

    kind: ClassVar[str] = "changed"
    id: str
    for_: str = field(name="for")
    title: str


class WaitingExpired(EventData, frozen=True, kw_only=True):
    """What was asked is not asked any more, and nobody answered here."""

    kind: ClassVar[str] = "expired"
    id: str
    for_: str | None = field(name="for")
    cause: str


class Answered(EventData, frozen=True, kw_only=True):
    """It was answered: a request with a `decision`, a dialog with a `choice` and its `label`."""

    kind: ClassVar[str] = "answered"
    id: str
    for_: str = field(name="for")
    by: str
    tool: str | UnsetType | None = UNSET
    decision: str | UnsetType = UNSET
    rule: dict[str, Any] | UnsetType = UNSET
    choice: str | UnsetType = UNSET
    label: str | UnsetType = UNSET
    changed: Any = UNSET
    input: Any = UNSET
    truncated: bool | UnsetType = UNSET


class Attached(EventData, frozen=True, kw_only=True):
    """Somebody looks at the terminal; so many do now."""

    kind: ClassVar[str] = "attached"
    actor: str
    mode: str
    viewers: int


class Detached(Attached, frozen=True, kw_only=True):
    """Somebody looks no more."""

    kind: ClassVar[str] = "detached"


class WriterChange(EventData, frozen=True, kw_only=True):
    """The keyboard has changed hands; `from` whom it was taken."""

    kind: ClassVar[str] = "writer"
    writer: str | None
    from_: str | None = field(name="from")


class Recording(EventData, frozen=True, kw_only=True):
    """The terminal is recorded, or not any more."""

    kind: ClassVar[str] = "recording"
    recording: bool
    by: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
