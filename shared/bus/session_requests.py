"""The arguments of the operations on a session: its life, its terminal, and what a person answers it.

`shared.bus.operations` says who may ask for which, `docs/bus.md` explains them. What must not regress: an unknown field is
refused; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from shared.bus.messages import Delivery, EndReason, SessionState, Wire


class CreateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.create` -> SessionView. `trust` answers the folder-trust dialog, and only that one."""

    project_path: str
    title: str | None = None
    trust: bool = False
    model: str | None = None
    permission_mode: str | None = None
    effort: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    mcp_config: str | dict[str, Any] | None = None
    append_system_prompt: str | None = None
    auto_keep_alive: bool | None = None
    delivery: Delivery | None = None
    resume: str | None = None
    fork: bool = False
    fork_before: str | None = None
    asleep: bool = False
    """With `resume`: without a process, until the first message."""

    wait: float = 0.0
    key: str | None = None


class SessionRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.get`, `session.reopen`, `session.wake`, `session.recycle` -> SessionView; `session.interrupt` ->
    {session, rung}."""

    session_id: str
    key: str | None = None


class HibernateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.hibernate` -> SessionView. What Claude has planned and would be lost, or is due within ten minutes, is refused
    unless `lose_scheduled`; what is planned for later wakes the session in time."""

    session_id: str
    lose_scheduled: bool = False
    key: str | None = None


class StopSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.kill` -> SessionView, when nothing of its process tree is left."""

    session_id: str
    reason: EndReason = "killed"
    key: str | None = None


class ForkSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.fork` -> SessionView of a new session that goes on from where this one is, or was before the person's message that
    `before` names by its id in the history; this one stays as it is."""

    session_id: str
    title: str | None = None
    before: str | None = None
    key: str | None = None


class ListSessions(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.list` -> {sessions: [SessionView], next}, oldest first; ended ones on request. Without `limit` all of them."""

    state: SessionState | None = None
    include_ended: bool = False
    begins_with: str = ""
    after: str | None = None
    limit: int | None = None


class Answer(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.answer` -> {session, answer}. `waiting_id` guards against answering something newer; first answer wins. `text` is
    the answer in one's own words, or goes into the input line of a dialog that offers no list. `answers` has an answer, or a list
    of them, for each question or its number, or each field of a form; an option may be named by its number. `partial`: the others
    stay open."""

    session_id: str
    waiting_id: str | None = None
    choice: str | None = None
    text: str | None = None
    answers: dict[str, str | list[str]] | None = None
    partial: bool = False
    updated_input: dict[str, Any] | None = None
    key: str | None = None


class KeepAlive(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.keep_alive` -> {session, recap, recapSkipped}. `recap` also asks Claude for a summary, within `wait` seconds and
    only of a session at rest; without one, `recap_skipped` says why in a word. The life is prolonged in any case."""

    session_id: str
    action: Literal["extend", "recap"] = "extend"
    wait: float = 120.0
    key: str | None = None


class UpdateSession(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.update` -> SessionView; what needs a new process is applied by recycling between turns."""

    session_id: str
    title: str | UnsetType | None = UNSET
    auto_keep_alive: bool | UnsetType | None = UNSET
    delivery: Delivery | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    permission_mode: str | UnsetType | None = UNSET
    effort: str | UnsetType | None = UNSET
    add_dirs: list[str] | UnsetType | None = UNSET
    mcp_config: str | dict[str, Any] | UnsetType | None = UNSET
    append_system_prompt: str | UnsetType | None = UNSET


class MarkSeen(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.seen` -> SessionView: a person has seen what was said up to `at` (milliseconds; null: now). It never goes back,
    wakes nothing and is no activity."""

    session_id: str
    at: int | None = None


class DraftRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`draft.get` -> {text, at, by}: what somebody has begun to write to this session; an empty text is none."""

    session_id: str


class KeepDraft(Wire, frozen=True, forbid_unknown_fields=True):
    """`draft.set` -> {text, at, by}: keep it for the other devices; an empty text forgets it."""

    session_id: str
    text: str


class ScreenRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.screen` -> Screen."""

    session_id: str
    history: bool = False
    html: bool = False


class Resize(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.resize` -> SessionView. Within 20-500 x 5-200; refused while a person has the keyboard. Not kept when the
    process is replaced."""

    session_id: str
    cols: int
    rows: int
    key: str | None = None


class RecordingRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.recording` -> {recording, files, bytes}: start it, end it, or look at it."""

    session_id: str
    start: bool | None = None
    key: str | None = None


class SendKeys(Wire, frozen=True, forbid_unknown_fields=True):
    """`session.keys` -> SessionView. Raw keyboard input (`text`) or named keys (`Enter`, `Escape`, `C-c`, ...); 409 `not_writer`
    while somebody at a terminal has the keyboard."""

    session_id: str
    keys: list[str] = field(default_factory=list)
    text: str | None = None
    key: str | None = None
