"""What is said on the WebSocket of a terminal, as types, for those who write clients: the OpenAPI document shows them.

The supervisor's own words come through as they are (`shared/bus/terminal_protocol.py`); the tests of the WebSocket hold
every message that they receive against these types. `docs/terminal.md` explains them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from shared.bus.messages import EndReason, SessionState, WaitingFor

Cells = Annotated[int, Meta(ge=1, le=10_000)]


class TerminalMessage(Struct, tag_field="type", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One text message: JSON with a `type`."""


class KeyboardOwner(Struct, frozen=True, kw_only=True):
    """Who has the keyboard, and since when (milliseconds since the epoch)."""

    actor: str
    since: int


class WaitingSummary(Struct, frozen=True, kw_only=True):
    """What the session waits for."""

    kind: WaitingFor = field(name="for")
    title: str


class TerminalWelcome(TerminalMessage, frozen=True, tag="welcome"):
    """The first message, and again when the supervisor has come back: how things stand. `live`: there is a process to look at.
    `you`: the keyboard is yours."""

    v: int
    session: str
    mode: Literal["read", "write"]
    state: SessionState
    live: bool
    generation: int
    waiting: WaitingSummary | None
    reason: EndReason | None
    writer: KeyboardOwner | None
    you: bool


class SessionStateChange(TerminalMessage, frozen=True, tag="state"):
    """The session's state has changed; `generation` counts its processes, `reason` says why it ended."""

    state: SessionState
    live: bool
    generation: int
    waiting: WaitingSummary | None
    reason: EndReason | None


class KeyboardOwnerChange(TerminalMessage, frozen=True, tag="writer"):
    """The keyboard has changed hands."""

    writer: KeyboardOwner | None
    you: bool


class TerminalSnapshot(TerminalMessage, frozen=True, tag="snapshot"):
    """The next binary message draws the whole screen, on a terminal of `cols` and `rows`. `offset`: the place in the output that
    follows. `cropped`: your screen is smaller, and you get drawings of the part that fits instead of output. `asked`: because
    you asked."""

    cols: int
    rows: int
    cursor: tuple[int, int]
    offset: int
    title: str | None
    generation: int
    cropped: bool
    asked: bool


class TerminalError(TerminalMessage, frozen=True, tag="error"):
    """Something was not done: `read_only`, `not_writer`, `not_typed`, `keyboard_held`, `no_process`, or the code of an error of
    this API, after which the connection ends."""

    code: str
    message: str


class SupervisorAway(TerminalMessage, frozen=True, tag="away"):
    """The supervisor is away; the session goes on. `welcome` and `snapshot` follow when it is back."""


class TerminalInput(TerminalMessage, frozen=True, tag="input"):
    """Keys, as text. A binary message is the same, as bytes."""

    data: str


class ResizeTerminal(TerminalMessage, frozen=True, tag="resize"):
    """The size of your screen; only of the one who has the keyboard, whose size the session takes."""

    cols: Cells
    rows: Cells


class TakeKeyboard(TerminalMessage, frozen=True, tag="steal"):
    """Take the keyboard from whoever has it."""


class ReleaseKeyboard(TerminalMessage, frozen=True, tag="release"):
    """Give the keyboard up: it goes to the first who types."""


class SnapshotRequest(TerminalMessage, frozen=True, tag="snapshot"):
    """Ask for a snapshot."""


RECEIVED: tuple[type[TerminalMessage], ...] = (
    TerminalWelcome,
    SessionStateChange,
    KeyboardOwnerChange,
    TerminalSnapshot,
    TerminalError,
    SupervisorAway,
)
"""To the client; binary messages are output, and the one behind a `snapshot` is the drawing."""

SENT: tuple[type[TerminalMessage], ...] = (
    TerminalInput,
    ResizeTerminal,
    TakeKeyboard,
    ReleaseKeyboard,
    SnapshotRequest,
)
"""From the client; all but the last need `mode=write`."""

CLOSES: dict[int, str] = {
    1008: "refused: an unknown message, an error (its code is the reason), or a token that counts no more",
    1009: "a message over 256 KB",
    1012: "the API is restarting: come back",
}
