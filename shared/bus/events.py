"""Every kind of event, as a type: what stands in the `data` of `shared.bus.messages.Event`.

Whoever says something gives one of these to the journal (`Store.append`), and whoever listens gets it back with `read`. To add a
kind: write its struct here and name it in `docs/bus.md`; a test holds the tables there against these structs, kinds and fields.
What must not regress: the names on the wire are a contract, and stay; a field is added, never given another meaning; a field that
is left out (UNSET) is no member at all, which null is not. (Over 400 lines, because one list of all kinds is what readers want.)
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from shared.bus.messages import Event


class EventData(Struct, rename="camel", frozen=True, kw_only=True):
    """Base of all. `kind` is the event's, and the last part of its topic."""

    kind: ClassVar[str]


# -- a session's life ---------------------------------------------------------------------------------------------------


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


# -- what is asked of a person ------------------------------------------------------------------------------------------


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


# -- messages and what Claude does --------------------------------------------------------------------------------------


class MessageStep(EventData, frozen=True, kw_only=True):
    """A message has reached a step."""

    kind: ClassVar[str] = "message"
    message: str
    state: str
    at: int = 0
    prompt_id: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET


class ReplyChanged(EventData, frozen=True, kw_only=True):
    """The reply of a message that was `replied` is another one, or there is none: by Claude's transcript it is in this state
    now, which is `submitted` when Claude goes on."""

    kind: ClassVar[str] = "reply_changed"
    message: str
    state: str
    prompt_id: str | UnsetType = UNSET


class Seen(EventData, frozen=True, kw_only=True):
    """A person has seen what was said up to a time."""

    kind: ClassVar[str] = "seen"
    until: int
    by: str


class MessageEdited(EventData, frozen=True, kw_only=True):
    """A waiting message was given another text."""

    kind: ClassVar[str] = "edited"
    message: str
    by: str


class QueueMoved(EventData, frozen=True, kw_only=True):
    """A waiting message was moved."""

    kind: ClassVar[str] = "queue"
    message: str
    position: int


class PromptTaken(EventData, frozen=True, kw_only=True):
    """Claude took a prompt."""

    kind: ClassVar[str] = "prompt"
    prompt_id: str | None
    message: str | None


class Text(EventData, frozen=True, kw_only=True):
    """A piece of text as it is displayed, in Claude's own numbers."""

    kind: ClassVar[str] = "text"
    delta: Any = None
    index: Any = None
    final: Any = None
    message_id: Any = None
    prompt_id: str | None = None
    message: str | None = None


class ToolUse(EventData, frozen=True, kw_only=True):
    """A tool call, within bounds; where something was cut, `truncated`, and anything may be missing."""

    kind: ClassVar[str] = "tool"
    prompt_id: Any = UNSET
    message: Any = UNSET
    phase: Any = UNSET
    tool: Any = UNSET
    tool_use_id: Any = UNSET
    result: Any = UNSET
    duration_ms: Any = UNSET
    error: Any = UNSET
    input: Any = UNSET
    truncated: bool | UnsetType = UNSET


class ConversationChanged(EventData, frozen=True, kw_only=True):
    """The conversation id changed."""

    kind: ClassVar[str] = "conversation"
    from_: str | None = field(name="from")
    to: str | None


class ConversationShared(EventData, frozen=True, kw_only=True):
    """Another `claude` has the conversation open, too."""

    kind: ClassVar[str] = "conversation_shared"
    conversation: str | None
    pid: int | UnsetType = UNSET


# -- people at the terminal ---------------------------------------------------------------------------------------------


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


# -- health -------------------------------------------------------------------------------------------------------------


class ScheduledLost(EventData, frozen=True, kw_only=True):
    """What Claude had planned to do by itself is not done: its process has ended, or its time is over."""

    kind: ClassVar[str] = "scheduled_lost"
    tasks: list[dict[str, Any]]
    cause: str


class MemoryLimit(EventData, frozen=True, kw_only=True):
    """A session is over its limit of memory, and what is done about it."""

    kind: ClassVar[str] = "memory"
    bytes: int | None
    limit_mb: float
    action: str


class StartDelayed(EventData, frozen=True, kw_only=True):
    """A start waits for the machine to have time."""

    kind: ClassVar[str] = "start_delayed"
    cpu_percent: float
    limit: float


class Stuck(EventData, frozen=True, kw_only=True):
    """It works, and nothing has moved for so long."""

    kind: ClassVar[str] = "stuck"
    quiet_seconds: int


class Unresponsive(EventData, frozen=True, kw_only=True):
    """Its holder does not answer."""

    kind: ClassVar[str] = "unresponsive"
    holder: Any


class Responsive(EventData, frozen=True, kw_only=True):
    """Its holder answers again."""

    kind: ClassVar[str] = "responsive"
    holder: Any


class Pressure(EventData, frozen=True, kw_only=True):
    """Memory is short, or is not any more."""

    kind: ClassVar[str] = "pressure"
    what: str
    short: bool
    bytes: float | UnsetType = UNSET
    limit_gb: float | UnsetType = UNSET
    free_percent: float | UnsetType = UNSET
    limit_percent: float | UnsetType = UNSET


class Quarantined(EventData, frozen=True, kw_only=True):
    """A damaged file was put aside."""

    kind: ClassVar[str] = "quarantined"
    what: str
    moved_to: str | UnsetType = UNSET
    reason: str


class Unreadable(EventData, frozen=True, kw_only=True):
    """A file of Claude's cannot be read, and is done without."""

    kind: ClassVar[str] = "unreadable"
    what: str
    file: str
    reason: str


class HooksOff(EventData, frozen=True, kw_only=True):
    """A session's hooks are off: what Claude refuses by itself of the owner's rules, and what nobody refuses."""

    kind: ClassVar[str] = "hooks_off"
    refused: list[str]
    left: list[str]


class FolderLost(EventData, frozen=True, kw_only=True):
    """The folder of a live session was removed, or what is `missing` of it."""

    kind: ClassVar[str] = "folder_lost"
    missing: list[str]


class Restored(EventData, frozen=True, kw_only=True):
    """A session was found again behind a damaged database."""

    kind: ClassVar[str] = "restored"
    from_: str = field(name="from")
    state: str


class StorageRecovered(EventData, frozen=True, kw_only=True):
    """The database takes words again."""

    kind: ClassVar[str] = "storage_recovered"
    seconds: int
    reason: str


class RunDirRenewed(EventData, frozen=True, kw_only=True):
    """Something had deleted the run directory."""

    kind: ClassVar[str] = "run_dir_renewed"


class BusRebound(EventData, frozen=True, kw_only=True):
    """Something had deleted the sockets of the bus."""

    kind: ClassVar[str] = "bus_rebound"


class ViewersRebound(EventData, frozen=True, kw_only=True):
    """Something had deleted the socket of the terminals."""

    kind: ClassVar[str] = "viewers_rebound"


class LockRenewed(EventData, frozen=True, kw_only=True):
    """Something had deleted the supervisor's lock file."""

    kind: ClassVar[str] = "lock_renewed"


# -- the supervisor itself ----------------------------------------------------------------------------------------------


class Started(EventData, frozen=True, kw_only=True):
    """The supervisor serves."""

    kind: ClassVar[str] = "started"
    pid: int
    version: str


class Stopped(EventData, frozen=True, kw_only=True):
    """The supervisor ends."""

    kind: ClassVar[str] = "stopped"
    pid: int


class SettingsChanged(EventData, frozen=True, kw_only=True):
    """Settings were changed at run time."""

    kind: ClassVar[str] = "settings"
    values: dict[str, Any]
    by: str


class NotificationFailed(EventData, frozen=True, kw_only=True):
    """A recipient could not be told of an event (`notify.command`: neither `recipient` nor `channel`)."""

    kind: ClassVar[str] = "notification_failed"
    seq: int | None
    of: str = field(name="kind")
    recipient: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    why: str


class Audit(EventData, frozen=True, kw_only=True):
    """Somebody asked for a change, or a token or key came, changed or went (`name`, `scope`)."""

    kind: ClassVar[str] = "audit"
    op: str
    actor: str
    session: str | None
    message: str | UnsetType = UNSET
    changes: str | UnsetType = UNSET
    refused: str | UnsetType = UNSET
    needed: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    untold: int | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET


class Tick(EventData, frozen=True, kw_only=True):
    """Every second, beside the journal; `head` is its newest number."""

    kind: ClassVar[str] = "tick"
    head: int


def _all(kind: type[EventData]) -> list[type[EventData]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *_all(sub))]


KINDS: dict[str, type[EventData]] = {found.kind: found for found in _all(EventData)}
"""Every kind, by its name on the wire."""


def data_of(event: EventData) -> dict[str, Any]:
    """As it stands in `Event.data`."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    return data


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
